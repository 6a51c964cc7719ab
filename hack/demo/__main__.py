"""`python -m demo`: the story, on a cluster of our own or, after asking, on the one that KUBECONFIG names."""

import argparse
import os
import signal
import sys
import time
from pathlib import Path

from control_plane import ControlPlaneError, find_kubectl

from .narrator import CommandFailed, Narrator
from .stage import Stage
from .story import CRD_NAME, NAMESPACE, Story


def main() -> int:
    """Run the demo; return its exit code."""
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("--stay", action="store_true", help="leave everything running until Ctrl-C")
    parser.add_argument("--yes", action="store_true", help="do not ask before using the cluster of KUBECONFIG")
    options = parser.parse_args()
    # An orderly end is the same for `kill` and for Ctrl-C; a job in the background starts deaf to SIGINT.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    kubeconfig = os.environ.get("KUBECONFIG") or None
    began = time.monotonic()
    try:
        kubectl = find_kubectl()
        if kubeconfig is not None and not _asked(kubeconfig, kubectl, agreed=options.yes):
            print("Nothing was changed. Unset KUBECONFIG to have the demo on a cluster of its own.")
            return 1
        _run(kubeconfig, kubectl, stay=options.stay)
    except (ControlPlaneError, CommandFailed) as exc:
        print(f"demo: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nEverything is stopped.", flush=True)
        return 0 if options.stay else 130
    print(f"\nDone in {time.monotonic() - began:.0f} s; everything is stopped and removed.")
    return 0


def _run(kubeconfig: str | None, kubectl: Path, *, stay: bool) -> None:
    # Whoever stays to play may delete a namespace; the story does not.
    with Stage(
        kubeconfig=kubeconfig, kubectl=kubectl, namespace=NAMESPACE, transition="3s", full_cluster=stay
    ) as stage:
        narrator = Narrator(kubectl=stage.kubectl, environment=stage.environment, namespace=NAMESPACE)
        with Story(narrator=narrator, stage=stage) as story:
            try:
                story.set_up()
                if stay:
                    story.stay()
                else:
                    story.play()
            except CommandFailed as exc:
                raise CommandFailed(f"{exc}\n{stage.end_of_log()}") from exc


def _asked(kubeconfig: str, kubectl: Path, *, agreed: bool) -> bool:
    try:
        return _may_use(kubeconfig, kubectl, agreed=agreed)
    except CommandFailed as exc:
        hint = "Unset it to have the demo on a cluster of its own."
        raise CommandFailed(f"KUBECONFIG={kubeconfig} names no cluster that can be used. {hint}\n  {exc}") from exc


def _may_use(kubeconfig: str, program: Path, *, agreed: bool) -> bool:
    """Look at the user's cluster without changing it, say what would be done there, and ask."""
    kubectl = Narrator(kubectl=program, environment=os.environ, namespace=NAMESPACE)
    context = kubectl.quietly("config", "current-context").strip()
    server = kubectl.quietly("config", "view", "--minify", "--output=jsonpath={.clusters[0].cluster.server}")
    known = CRD_NAME in kubectl.quietly("get", CRD_NAME, "--output=name", "--ignore-not-found")
    if kubectl.quietly("get", "namespace", NAMESPACE, "--output=name", "--ignore-not-found"):
        print(f"demo: the cluster has a namespace {NAMESPACE} already, and the demo would remove it at its end.")
        print(f"If nothing in it is needed, run: kubectl delete namespace {NAMESPACE}")
        return False
    print(f"KUBECONFIG={kubeconfig} names the cluster {server} (context {context}).")
    if known:
        print(f"The demo would make the namespace {NAMESPACE} there, and remove it at its end.")
        print(
            "The cluster has the AgbSession resource already: if an agb-operator serves all of its namespaces, the two"
        )
        print("would interfere.")
    else:
        print(f"The demo would install the AgbSession resource there, make the namespace {NAMESPACE}, and remove both")
        print("at its end. AGB and the operator run on this machine.")
    if agreed:
        return True
    try:
        return input("Use this cluster? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        print()
        return False


if __name__ == "__main__":
    sys.exit(main())
