"""Broken networks towards AGB and towards the API server: after each, the operator serves the next patch.

Every kind of trouble has an operator, a namespace and proxies of its own, and all of them are broken at the same time,
so that the waits overlap; each test then judges one of them.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from control_plane import ControlPlane
from e2e.stack import Operator, Simulator
from e2e.tenant import Tenant
from kubelet import Kubelet
from proxy import Mode, Proxy

BROKEN_FOR = 25.0
"""Seconds: longer than the lease's renew deadline and than every request's time limit."""
SILENT_FOR = 120.0
"""Seconds of a black hole: longer than anything that waits for a sign of the other end."""
SERVED_WITHIN = 90.0
"""Seconds from the repair until a patch must have been served."""
TROUBLES = [(where, mode) for where in ("AGB", "API server") for mode in Mode if mode not in (Mode.PASS, Mode.STALL)]
IDS = [f"{where}-{mode}" for where, mode in TROUBLES]


@dataclass
class Victim:
    """One operator behind two proxies, and its one session."""

    tenant: Tenant
    agb: Proxy
    api: Proxy
    kubelet: Kubelet
    session_id: str
    served_after: float = 0.0
    error: str = ""

    def suffer(self, where: str, mode: Mode) -> None:
        """Break one of its networks, flip the session meanwhile, mend it, and measure until that is served."""
        proxy = self.agb if where == "AGB" else self.api
        proxy.set(mode)
        self.tenant.patch("s", paused=True)
        time.sleep(SILENT_FOR if mode is Mode.BLACK_HOLE else BROKEN_FOR)
        proxy.set(Mode.PASS)
        mended = time.monotonic()
        try:
            self.tenant.patch("s", paused=False)
            self.tenant.patch("s", paused=True)
            self.tenant.until(
                "s",
                lambda status: (
                    status.get("phase") == "Paused"
                    and status["observedGeneration"] == self.tenant.get("s")["metadata"]["generation"]
                ),
                within=SERVED_WITHIN,
            )
        except AssertionError as exc:
            self.error = f"{exc}\n{self.kubelet.operator.text()[-3000:]}"
        self.served_after = time.monotonic() - mended


@pytest.fixture(scope="module")
def victims(
    control_plane: ControlPlane, simulator: Simulator, new_tenant: Callable[[], Tenant], folder: Path
) -> Iterator[dict[tuple[str, Mode], Victim]]:
    """All operators, after their trouble."""
    with ExitStack() as stack:
        found: dict[tuple[str, Mode], Victim] = {}
        for number, trouble in enumerate(TROUBLES):
            tenant = new_tenant()
            agb = stack.enter_context(Proxy(_port(simulator.endpoint)))
            api = stack.enter_context(Proxy(_port(control_plane.server_url)))
            kubeconfig = folder / f"kubeconfig-{number}"
            text = control_plane.kubeconfig.read_text()
            kubeconfig.write_text(text.replace(control_plane.server_url, f"https://127.0.0.1:{api.port}"))

            def start(
                tenant: Tenant = tenant, agb: Proxy = agb, kubeconfig: Path = kubeconfig, number: int = number
            ) -> Operator:
                return Operator(
                    f"--namespace={tenant.namespace}",
                    f"--lease-namespace={tenant.namespace}",
                    "--resync=5s",
                    kubeconfig=kubeconfig,
                    endpoint=f"http://127.0.0.1:{agb.port}",
                    log=folder / f"operator-{number}.log",
                    env={"AGB_TIMEOUT_MS": "6000"},
                )

            kubelet = stack.enter_context(Kubelet(start))
            session_id = tenant.adopt("s")
            found[trouble] = Victim(tenant=tenant, agb=agb, api=api, kubelet=kubelet, session_id=session_id)
        for victim in found.values():
            victim.tenant.wait("s", "Ready", seconds=90)
        with ThreadPoolExecutor(len(found)) as pool:
            list(pool.map(lambda item: item[1].suffer(*item[0]), found.items()))
        yield found


@pytest.mark.parametrize(("where", "mode"), TROUBLES, ids=IDS)
def test_the_patch_after_a_broken_network_is_served(
    victims: dict[tuple[str, Mode], Victim], where: str, mode: Mode
) -> None:
    victim = victims[where, mode]
    assert not victim.error, victim.error
    assert victim.served_after < SERVED_WITHIN
    assert victim.tenant.control.session(victim.session_id)["status"] == "PAUSED"


@pytest.mark.parametrize(("where", "mode"), TROUBLES, ids=IDS)
def test_a_broken_network_provokes_no_illegal_call(
    victims: dict[tuple[str, Mode], Victim], where: str, mode: Mode
) -> None:
    victim = victims[where, mode]
    entries = [e for e in victim.tenant.requests() if e.session_id == victim.session_id]
    assert not [e for e in entries if e.illegal]


@pytest.mark.parametrize("mode", [mode for where, mode in TROUBLES if where == "AGB"])
def test_trouble_on_the_way_to_agb_never_restarts_the_operator(
    victims: dict[tuple[str, Mode], Victim], mode: Mode
) -> None:
    assert victims["AGB", mode].kubelet.restarts == 0, victims["AGB", mode].kubelet.operator.text()[-3000:]


def _port(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port
