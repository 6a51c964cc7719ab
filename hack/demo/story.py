"""What the demo shows, and what it leaves behind: nothing that was not there before."""

from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from .narrator import Narrator
from .stage import KEY, ROOT, Stage

NAMESPACE: Final = "agb-demo"
CRDS: Final = "crds"
CRD: Final = f"{CRDS}/agbsessions.yaml"
CRD_NAME: Final = "customresourcedefinition.apiextensions.k8s.io/agbsessions.agb.cloud"
OVERRIDE: Final = timedelta(seconds=8)
"""How long the override of the demo holds: longer than AGB takes to pause the session."""
MANIFEST: Final = "hack/demo/batch-7.yaml"


class Story:
    """One telling; leaving the `with` block removes from a user's cluster what the telling has put there."""

    def __init__(self, *, narrator: Narrator, stage: Stage) -> None:
        self._narrator = narrator
        self._stage = stage
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stage.own_cluster:
            return  # the whole cluster goes
        self._narrator.say("Your cluster gets back what it had:")
        self._undo.close()

    def set_up(self) -> None:
        """Install the resource, a namespace, a Secret and the operator."""
        tell, own = self._narrator, self._stage.own_cluster
        where = "a real Kubernetes API server, on this machine" if own else "your cluster"
        tell.say(f"On {where}: the AgbSession resource, a namespace, and a Secret with the API key.")
        if own:
            tell.run(f"kubectl apply --server-side -f {CRDS}", namespaced=False)
        elif not tell.quietly("get", CRD_NAME, "--output=name", "--ignore-not-found"):
            self._undo.callback(
                tell.run, f"kubectl delete {CRD_NAME} --ignore-not-found --timeout=60s", namespaced=False
            )
            tell.run(f"kubectl apply --server-side -f {CRD}", namespaced=False)
        self._undo.callback(
            tell.run, f"kubectl delete namespace {NAMESPACE} --ignore-not-found --timeout=120s", namespaced=False
        )
        tell.run(f"kubectl create namespace {NAMESPACE}", namespaced=False)
        tell.run(f"kubectl create secret generic agb-credentials --from-literal=apiKey={KEY}")
        tell.say("The operator starts: `agb-operator run`. AGB is played by `agb-simulator`; a pause takes it 3 s.")
        took = self._stage.start_operator()
        # The operator has to be there for its sessions to end, so this comes before the namespace.
        self._undo.callback(self._delete_sessions)
        tell.show(f"The operator is ready after {took:.1f} s.")
        # An API server publishes the schema of a new resource a second or more after it serves the resource.
        tell.patiently("explain", "agbsessions")

    def play(self) -> None:
        """Create, pause, resume and delete a session."""
        tell = self._narrator
        with tell.watch():
            tell.say("A session is created from a manifest.")
            tell.show(Path(ROOT / MANIFEST).read_text())
            tell.run(f"kubectl apply -f {MANIFEST}")
            tell.timed("kubectl wait --for=condition=Ready agbsession/batch-7 --timeout=60s")
            tell.say("Pause it. It keeps its state, and costs less while it sleeps.")
            tell.run("""kubectl patch agbsession batch-7 --type=merge -p '{"spec":{"paused":true}}'""")
            tell.timed("kubectl wait --for=condition=Paused agbsession/batch-7 --timeout=60s")
            tell.run("kubectl get agbsessions")
            tell.say("Resume it.")
            tell.run("""kubectl patch agbsession batch-7 --type=merge -p '{"spec":{"paused":false}}'""")
            tell.timed("kubectl wait --for=condition=Ready agbsession/batch-7 --timeout=60s")
            tell.say("Pause it for some seconds, by an override. It ends by itself: nobody has to undo it.")
            until = (datetime.now(UTC) + OVERRIDE).strftime("%Y-%m-%dT%H:%M:%SZ")
            override = f'{{"spec":{{"override":{{"state":"Paused","until":"{until}"}}}}}}'
            tell.run(f"kubectl patch agbsession batch-7 --type=merge -p '{override}'")
            tell.timed("kubectl wait --for=condition=Paused agbsession/batch-7 --timeout=60s")
            tell.run("kubectl get agbsessions")
            tell.timed("kubectl wait --for=condition=Paused=False agbsession/batch-7 --timeout=60s")
            tell.timed("kubectl wait --for=condition=Ready agbsession/batch-7 --timeout=60s")
            tell.say("What it has been through:")
            tell.run("kubectl describe agbsession batch-7")
            tell.say("Deleting the resource ends the session at AGB.")
            tell.timed("kubectl delete agbsession batch-7")
        tell.show(self._stage.sessions_at_agb())

    def stay(self) -> None:
        """Say how to play along, and wait until Ctrl-C or until a program ends."""
        stage, tell = self._stage, self._narrator
        tell.say("Everything runs. In another terminal, in this folder:")
        tell.show("")
        tell.show(f"export KUBECONFIG={stage.kubeconfig}")
        tell.show(f"kubectl -n {NAMESPACE} apply -f {MANIFEST}")
        tell.show(f"""kubectl -n {NAMESPACE} patch agbsession batch-7 --type=merge -p '{{"spec":{{"paused":true}}}}'""")
        tell.show(f"kubectl -n {NAMESPACE} get agbsessions --watch")
        tell.say("Where things are:")
        tell.show(f"kubectl that fits the server   {stage.kubectl}")
        tell.show(f"the operator's log             {stage.log}")
        tell.show(f"AGB's simulator                {stage.simulator}/_sim/state (docs/simulator.md)")
        tell.say("Ctrl-C ends it all.")
        stage.wait()

    def _delete_sessions(self) -> None:
        self._narrator.run("kubectl delete agbsessions --all --timeout=60s")
