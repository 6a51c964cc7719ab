"""An endpoint where nobody listens: the text that the user sees, and that the operator gets on when somebody does."""

from pathlib import Path

from control_plane import ControlPlane
from control_plane.processes import free_port
from e2e.stack import Operator, Simulator, eventually
from e2e.tenant import Tenant
from kubectl import Kubectl

SESSION = "session-0123456789ab"


def test_an_endpoint_that_refuses_connections_is_told_and_tried_again(
    control_plane: ControlPlane, kubectl: Kubectl, folder: Path
) -> None:
    listening = f"--port={free_port()}"
    with Simulator(listening, log=folder / "early.log") as early:
        user = Tenant(kubectl=kubectl, control=early.control, audit=control_plane.audit_events())
        early.stop()
    with Operator(
        "--no-leader-election",
        kubeconfig=control_plane.kubeconfig,
        endpoint=early.endpoint,
        log=folder / "operator.log",
    ) as operator:
        operator.ready()
        user.apply("a", sessionId=SESSION, paused=True)

        eventually(lambda: user.ready("a").get("reason") == "ApiUnavailable", within=60.0)
        assert user.ready("a")["status"] == "Unknown"
        assert user.ready("a")["message"] == (
            "Looking at the session failed: cannot connect to the AGB endpoint: Connection refused "
            f"({early.endpoint}). The operator tries again with back-off."
        )
        assert user.condition("a", "Paused")["status"] == "Unknown"

        with Simulator(listening, log=folder / "late.log") as late:
            late.control.add_session(user.key, session_id=SESSION)
            user.wait("a", "Paused", seconds=60)
            assert late.control.count("pauseSessionAsync") == 1
        user.remove()
