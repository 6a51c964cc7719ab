"""A Kubernetes control plane of our own: etcd, kube-apiserver and, if asked for, kube-controller-manager.

It behaves like a real cluster where an operator can tell: RBAC, CRD validation with CEL, priority and
fairness, the default admission plugins, TLS that clients verify. There are no nodes, so nothing runs in it.
Each one has its own ports, credentials and temporary folder, so several stand side by side.
"""

import http.client
import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

from . import commands
from .audit import POLICY, AuditLog
from .binaries import Binaries, find_binaries
from .credentials import User, write_kubeconfig, write_private, write_service_account_key, write_token_file
from .errors import StartFailed
from .folder import Folder
from .processes import Component, free_port

ADMIN = "control-plane-admin"
"""The user of the admin kubeconfig, a member of system:masters, as it appears in the audit log."""
READY_TIMEOUT = 120.0
"""Seconds for one component to become ready; five suffice on an idle machine."""
_START_ATTEMPTS = 5
_PROBE_TIMEOUT = 2.0


class ControlPlane:
    """A control plane that runs from `start` to `stop`, or inside a `with` block.

    Raises on start:
        NotAvailable: the programs can be had in none of the known ways.
        StartFailed: a component did not come up; the text holds the end of its log.
    """

    def __init__(
        self,
        *,
        controller_manager: bool = False,
        kubeconfig: Path | None = None,
        apiserver_flags: Sequence[str] = (),
        users: Sequence[User] = (),
        binaries: Binaries | None = None,
    ) -> None:
        """Prepare one; nothing runs before `start`.

        Args:
            controller_manager: run garbage collection, namespace deletion and ServiceAccounts as well.
            kubeconfig: where to write the admin kubeconfig; None for the temporary folder. Removed by `stop`.
            apiserver_flags: further flags of kube-apiserver, such as `--max-requests-inflight=50`; they win.
            users: more users with static tokens, for RBAC tests.
            binaries: the programs; None to find, download or build them.
        """
        self._binaries = binaries
        self._with_controller_manager = controller_manager
        self._kubeconfig = kubeconfig
        self._apiserver_flags = tuple(apiserver_flags)
        self._admin = User(name=ADMIN, groups=("system:masters",))
        self._manager = User(name="system:kube-controller-manager")
        self._users = tuple(users)
        self._folder: Folder | None = None
        self._components: dict[str, Component] = {}
        self._etcd_url = ""
        self.server_url = ""
        """`https://127.0.0.1:PORT`; the same over restarts."""

    # Life

    def start(self) -> Self:
        """Start all components and wait until the API server is ready. A failure leaves nothing behind."""
        if self._folder is not None:
            raise RuntimeError("this control plane runs already")
        binaries = self._binaries or find_binaries(controller_manager=self._with_controller_manager)
        self._folder = Folder()
        try:
            write_service_account_key(self.folder / "service-account.key")
            write_token_file(self.folder / "tokens.csv", [self._admin, self._manager, *self._users])
            write_private(self.folder / "audit-policy.json", json.dumps(POLICY))
            self._first_start("etcd", lambda port: self._etcd_command(binaries, port), self._etcd_is_ready)
            self._first_start("kube-apiserver", lambda port: self._apiserver_command(binaries, port), self.is_ready)
            self.kubeconfig_for_user(self._admin, self.kubeconfig)
            if self._with_controller_manager:
                self._first_start(
                    "kube-controller-manager",
                    lambda _port: self._manager_command(binaries),
                    self._manager_is_ready,
                )
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop everything, the API server before etcd, and remove the folder; harmless if nothing runs."""
        if self._folder is None:
            return
        while self._components:
            _, component = self._components.popitem()  # the last started first
            component.stop()
        if self._kubeconfig is not None:
            self._kubeconfig.unlink(missing_ok=True)
        self._folder.remove()
        self._folder = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def watch(self) -> NoReturn:
        """Sit and watch until a component ends by itself.

        Raises:
            StartFailed: with the end of its log.
        """
        while all(component.running for component in self._components.values()):
            time.sleep(0.2)
        (ended, *_) = [component for component in self._components.values() if not component.running]
        raise StartFailed(ended.failure("ended"))

    # Trouble

    def stop_apiserver(self) -> None:
        """Stop the API server in an orderly way; connections to it are refused from then on."""
        self.apiserver.stop()

    def kill_apiserver(self) -> None:
        """End the API server as a crash would."""
        self.apiserver.kill()

    def start_apiserver(self) -> None:
        """Start the API server again, with the same address and certificate, and wait until it is ready."""
        self.apiserver.start()
        self.apiserver.wait_ready(self.is_ready, timeout=READY_TIMEOUT)

    def restart_apiserver(self) -> None:
        """Stop and start the API server; what it stored stays in etcd."""
        self.stop_apiserver()
        self.start_apiserver()

    def stop_etcd(self) -> None:
        """Stop etcd; the API server stays up and answers with errors."""
        self.etcd.stop()

    def kill_etcd(self) -> None:
        """End etcd as a crash would; what it acknowledged is in the page cache and survives."""
        self.etcd.kill()

    def start_etcd(self) -> None:
        """Start etcd again with its data, and wait until the API server, if it runs, reads from it."""
        self.etcd.start()
        self.etcd.wait_ready(self._etcd_is_ready, timeout=READY_TIMEOUT)
        if self.apiserver.running:
            self.apiserver.wait_ready(self._reads_from_etcd, timeout=READY_TIMEOUT)
            self.apiserver.wait_ready(self.is_ready, timeout=READY_TIMEOUT)

    def restart_etcd(self) -> None:
        """Stop and start etcd; its data stays."""
        self.stop_etcd()
        self.start_etcd()

    # Use

    @property
    def folder(self) -> Path:
        """Temporary folder of this control plane: data, logs, credentials; gone after `stop`."""
        if self._folder is None:
            raise RuntimeError("this control plane does not run")
        return self._folder.path

    @property
    def etcd(self) -> Component:
        """etcd: its process id and its log."""
        return self._components["etcd"]

    @property
    def apiserver(self) -> Component:
        """kube-apiserver: its process id and its log."""
        return self._components["kube-apiserver"]

    @property
    def kubeconfig(self) -> Path:
        """Kubeconfig of the administrator."""
        return self._kubeconfig or self.folder / "admin.kubeconfig"

    @property
    def certificate_authority(self) -> Path:
        """PEM file by which clients verify the API server."""
        return self.folder / "certificates" / "apiserver.crt"

    @property
    def audit_log(self) -> Path:
        """JSON lines, one for each finished request; see `audit`."""
        return self.folder / "audit.log"

    def audit_events(self) -> AuditLog:
        """Return a reader of the audit log whose `read_new` begins now."""
        log = AuditLog(self.audit_log)
        log.skip()
        return log

    def kubeconfig_for_token(self, token: str, path: Path, *, user: str = "token", namespace: str = "default") -> Path:
        """Write a kubeconfig for a bearer token, such as one of `kubectl create token SERVICEACCOUNT`."""
        ca = self.certificate_authority.read_bytes()
        return write_kubeconfig(path, server=self.server_url, ca=ca, user=user, token=token, namespace=namespace)

    def kubeconfig_for_user(self, user: User, path: Path, *, namespace: str = "default") -> Path:
        """Write a kubeconfig for one of the `users`."""
        return self.kubeconfig_for_token(user.token, path, user=user.name, namespace=namespace)

    def is_ready(self) -> bool:
        """Say whether the API server answers /readyz with 200, over verified TLS.

        The API server looks at etcd from time to time: its answer is a little behind when etcd goes or comes.
        """
        return self._status("/readyz") == 200

    # Components

    def _first_start(self, name: str, command: Callable[[int], list[str]], ready: Callable[[], bool]) -> None:
        """Start a component on a free port, on another one if somebody was faster to take it."""
        for attempt in range(1, _START_ATTEMPTS + 1):
            component = Component(name, command(free_port()), log=self.folder / f"{name}.log")
            self._components[name] = component
            component.start()
            try:
                component.wait_ready(ready, timeout=READY_TIMEOUT)
            except StartFailed:
                port_taken = "address already in use" in component.log_of_last_start()
                component.stop()
                if attempt == _START_ATTEMPTS or not port_taken:
                    raise
            else:
                return

    def _etcd_command(self, binaries: Binaries, port: int) -> list[str]:
        self._etcd_url = f"http://127.0.0.1:{port}"
        return commands.etcd(binaries, folder=self.folder, url=self._etcd_url)

    def _etcd_is_ready(self) -> bool:
        """Ask for the members by name, so that somebody else's etcd on a port we lost is not taken for ours."""
        _, answer = _http(f"{self._etcd_url}/v3/cluster/member/list", body=b"{}")
        return f'"{self.folder.name}"' in answer

    def _apiserver_command(self, binaries: Binaries, port: int) -> list[str]:
        self.server_url = f"https://127.0.0.1:{port}"
        flags = commands.kube_apiserver(binaries, folder=self.folder, port=port, etcd_url=self._etcd_url)
        return [*flags, *self._apiserver_flags]

    def _manager_command(self, binaries: Binaries) -> list[str]:
        kubeconfig = self.kubeconfig_for_user(self._manager, self.folder / "kube-controller-manager.kubeconfig")
        return commands.kube_controller_manager(binaries, folder=self.folder, kubeconfig=kubeconfig)

    def _reads_from_etcd(self) -> bool:
        """A read of one object without resourceVersion is not served from the API server's memory."""
        return self._status("/api/v1/namespaces/default") == 200

    def _manager_is_ready(self) -> bool:
        """It serves no port; its first visible work is the ServiceAccount that every Pod relies on."""
        return self._status("/api/v1/namespaces/default/serviceaccounts/default") == 200

    def _status(self, path: str) -> int:
        try:
            context = ssl.create_default_context(cafile=str(self.certificate_authority))
        except OSError:  # not there yet, or half written; SSLError is one
            return 0
        status, _ = _http(f"{self.server_url}{path}", token=self._admin.token, context=context)
        return status


def _http(
    url: str, *, body: bytes | None = None, token: str = "", context: ssl.SSLContext | None = None
) -> tuple[int, str]:
    """Return status and text of an answer; 0 and nothing if there was none. No proxy serves loopback."""
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if context is not None:
        handlers.append(urllib.request.HTTPSHandler(context=context))
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url, data=body, headers=headers)
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=_PROBE_TIMEOUT) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as exc:
        exc.close()
        return exc.code, ""
    except (OSError, http.client.HTTPException):
        return 0, ""
