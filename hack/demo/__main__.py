"""`python -m demo`: the story, on a cluster of our own or, after asking, on the one that KUBECONFIG names."""

import argparse
import json
import os
import signal
import sys
import threading
import time

from control_plane import ControlPlaneError

from .narrator import CommandFailed, Narrator
from .stage import CRD, KEY, NAMESPACE, Stage, seconds_since

MANIFEST = """\
apiVersion: agb.cloud/v1alpha1
kind: AgbSession
metadata: {name: batch-7}
spec:
  imageId: agb-code-space-1
  credentials: {secretRef: {name: agb-credentials}}
"""


def main() -> int:
    """Run the demo; return its exit code."""
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("--stay", action="store_true", help="leave everything running until Ctrl-C")
    parser.add_argument("--yes", action="store_true", help="do not ask before using the cluster of KUBECONFIG")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    kubeconfig = os.environ.get("KUBECONFIG") or None
    if kubeconfig is not None and not options.yes and not _may_use(kubeconfig):
        print("Nothing was changed. Unset KUBECONFIG to have the demo on a cluster of its own.")
        return 1
    began = time.monotonic()
    try:
        with Stage(kubeconfig=kubeconfig, transition="3s") as stage:
            narrator = Narrator(kubectl=stage.kubectl, environment=stage.environment, namespace=NAMESPACE)
            try:
                _set_up(narrator, stage, own_cluster=kubeconfig is None)
                if options.stay:
                    _stay(stage)
                else:
                    _story(narrator, stage)
            finally:
                _clean_up(narrator, own_cluster=kubeconfig is None)
    except (ControlPlaneError, CommandFailed) as exc:
        print(f"demo: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nEverything is stopped.")
        return 0 if options.stay else 130
    print(f"\nDone in {seconds_since(began)}; everything is stopped and removed.")
    return 0


def _may_use(kubeconfig: str) -> bool:
    print(f"KUBECONFIG is set ({kubeconfig}). The demo would install the AgbSession CRD into that cluster, make the")
    print(f"namespace {NAMESPACE}, and remove both at the end, the CRD only if it was not there before.")
    try:
        return input("Use this cluster? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _set_up(narrator: Narrator, stage: Stage, *, own_cluster: bool) -> None:
    where = "a real API server of our own" if own_cluster else "your cluster"
    narrator.say(f"On {where}: the AgbSession resource, a namespace, and a Secret with the API key.")
    if own_cluster or "agbsessions.agb.cloud" not in narrator.quietly("get", "crd", "--output=name"):
        narrator.run(
            f"kubectl apply --server-side -f {CRD.relative_to(CRD.parents[1])}".replace("crds/", f"{CRD.parent}/")
        )
        narrator.quietly("wait", "--for=condition=Established", "crd/agbsessions.agb.cloud", "--timeout=30s")
        _INSTALLED.append("crd/agbsessions.agb.cloud")
    narrator.run(f"kubectl create namespace {NAMESPACE}")
    narrator.run(f"kubectl create secret generic agb-credentials --from-literal=apiKey={KEY}")
    narrator.say("The operator starts (`agb-operator run`), against a simulator of the AGB API on this machine.")
    began = time.monotonic()
    log = stage.start_operator()
    narrator.show(f"ready after {seconds_since(began)}; its log is {log}")


_INSTALLED: list[str] = []


def _story(narrator: Narrator, stage: Stage) -> None:
    with narrator.watch():
        narrator.say("A session is created by a manifest.")
        narrator.show(MANIFEST)
        narrator.run("kubectl apply -f batch-7.yaml".replace("batch-7.yaml", "-"), stdin=MANIFEST)
        _timed(narrator, "kubectl wait --for=condition=Ready agbsession/batch-7 --timeout=60s")
        narrator.say("The verb: pause it. It costs next to nothing while it sleeps, and keeps its state.")
        narrator.run("""kubectl patch agbsession batch-7 --type=merge -p '{"spec":{"paused":true}}'""")
        _timed(narrator, "kubectl wait --for=condition=Paused agbsession/batch-7 --timeout=60s")
        narrator.say("And on again.")
        narrator.run("""kubectl patch agbsession batch-7 --type=merge -p '{"spec":{"paused":false}}'""")
        _timed(narrator, "kubectl wait --for=condition=Paused=False agbsession/batch-7 --timeout=60s")
        _timed(narrator, "kubectl wait --for=condition=Ready agbsession/batch-7 --timeout=60s")
        narrator.say("What it has been through:")
        narrator.run("kubectl describe agbsession batch-7")
        narrator.say("Deleting the resource ends the session at AGB.")
        _timed(narrator, "kubectl delete agbsession batch-7")
    narrator.show(stage.sessions_at_agb())


def _timed(narrator: Narrator, command: str) -> None:
    narrator.show(f"took {narrator.run(command):.1f} s")


def _stay(stage: Stage) -> None:
    print(f"\nEverything runs. In another terminal:\n\n  export KUBECONFIG={stage.kubeconfig}")
    print(f"  kubectl config set-context --current --namespace={NAMESPACE}")
    print(f"  {stage.kubectl} get agbs --watch      # a kubectl that fits, if you have none")
    print("\nTry this manifest, then patch it:\n")
    print("\n".join(f"  {line}" for line in MANIFEST.splitlines()))
    print(
        f"\nThe simulator's hooks are at {stage.simulator}/_sim/ (docs/simulator.md). Ctrl-C ends it all.", flush=True
    )
    threading.Event().wait()


def _clean_up(narrator: Narrator, *, own_cluster: bool) -> None:
    if own_cluster:
        return  # the whole cluster goes
    leftovers = json.loads(
        narrator.quietly("get", "agbsessions", "-n", NAMESPACE, "--output=json", "--ignore-not-found") or "{}"
    )
    if leftovers.get("items"):
        narrator.quietly("delete", "agbsessions", "--all", "-n", NAMESPACE, "--timeout=60s")
    narrator.quietly("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=120s")
    for item in _INSTALLED:
        narrator.quietly("delete", item, "--ignore-not-found", "--timeout=60s")


if __name__ == "__main__":
    sys.exit(main())
