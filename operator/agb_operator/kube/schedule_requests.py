"""What the operator asks of the Kubernetes API about AgbPauseSchedules, and how a request finds its path."""

import re
from collections.abc import Mapping
from typing import Any, Final

from ..model.errors import ClusterUnavailable, ObjectNotFound
from ..model.resource import GROUP, VERSION
from .connection import Connection
from .messages import Request

GROUP_VERSION: Final = f"{GROUP}/{VERSION}"
SESSIONS: Final = f"/apis/{GROUP_VERSION}"
_ALL_SCHEDULES: Final = f"{SESSIONS}/agbpauseschedules"
_SCHEDULES: Final = f"{SESSIONS}/namespaces/{{namespace}}/agbpauseschedules"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


class ScheduleRequests:
    """The requests about schedules; every method may raise any `ClusterError`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def server(self) -> str:
        """The API server's address."""
        return self._connection.server

    def schedules_url(self, namespace: str | None) -> str:
        """Give the address of the schedules of one namespace or of all."""
        return self.server + (_ALL_SCHEDULES if namespace is None else _SCHEDULES.format(namespace=namespace))

    async def serves_schedules(self) -> bool:
        """Tell whether the resource is installed."""
        served = await self._connection.request(Request(path=SESSIONS))
        return "agbpauseschedules" in {item["name"] for item in served["resources"]}

    async def list_schedules(self, namespace: str | None = None) -> tuple[list[dict[str, Any]], str]:
        """List the schedules of one namespace or of all, with the version to watch from: "" if the server gave none."""
        if namespace is None:
            answer = await self._connection.request(Request(path=_ALL_SCHEDULES))
        else:
            answer = await self._ask(_SCHEDULES, namespace)
        self._check_list(answer, "AgbPauseScheduleList")
        return list(answer.get("items") or ()), str((answer.get("metadata") or {}).get("resourceVersion") or "")

    async def patch_schedule_status(
        self, namespace: str, name: str, *, resource_version: str, patch: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Merge `patch` into the status of exactly this version of a schedule; returns the schedule.

        Raises:
            Conflict: the schedule has changed since `resource_version`, or is another one of the same name.
        """
        body = {"metadata": {"resourceVersion": resource_version}, "status": patch}
        return await self._patch(_SCHEDULES + "/{name}/status", namespace, name, body)

    def _check_list(self, answer: Mapping[str, Any], kind: str) -> None:
        """Raise ClusterUnavailable for what is no list of a kind: an empty answer means that all objects are gone."""
        if answer.get("kind") != kind:
            raise ClusterUnavailable(f"the API server at {self.server} answered a list request without a list")

    async def _patch(self, path: str, namespace: str, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return await self._ask(path, namespace, name, method="PATCH", body=body, content="application/merge-patch+json")

    async def _ask(self, path: str, namespace: str, name: str | None = None, **more: Any) -> dict[str, Any]:
        names = {"namespace": checked(namespace)} | ({} if name is None else {"name": checked(name)})
        return await self._connection.request(Request(path=path, names=names, **more))


def checked(name: str) -> str:
    """Give the name back if it may become part of a URL; what cannot be a name is not found."""
    if _NAME.fullmatch(name) is None:
        raise ObjectNotFound(f"{name!r} cannot be the name of a Kubernetes object")
    return name
