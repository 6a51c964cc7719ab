"""The time is the API server's, so a wrong clock of the computer does no harm."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agb_operator.model.errors import ClusterForbidden, ClusterRefused, ObjectNotFound
from kubectl_agb.cluster import Cluster, explained
from kubectl_agb.errors import Failed


class Server:
    """Answers everything with an empty object, at a time of its own."""

    date = ""

    def __init__(self, date: str = "", **metadata: str) -> None:
        self._date = date
        self._metadata = metadata

    async def request(self, _: object) -> dict[str, Any]:
        self.date = self._date
        return {"metadata": self._metadata}


async def test_a_list_whose_pages_come_back_to_themselves_ends() -> None:
    server: Any = Server(**{"continue": "again"})
    with pytest.raises(Failed, match="comes back to itself"):
        await Cluster(server, "default").sessions(None)


async def test_now_is_what_the_server_says() -> None:
    server: Any = Server("Wed, 25 Nov 2026 19:00:00 GMT")
    cluster = Cluster(server, "default")
    assert abs(cluster.now() - datetime.now(UTC)) < timedelta(seconds=5)

    await cluster.session("default", "s")

    assert timedelta(0) <= cluster.now() - datetime(2026, 11, 25, 19, tzinfo=UTC) < timedelta(seconds=5)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (
            ClusterForbidden("GET /x: HTTP 403: you cannot", http_status=403),
            "you lack a right: you cannot; ask an administrator of the cluster for it",
        ),
        (
            ClusterForbidden("GET /x: HTTP 401", http_status=401),
            "the API server refuses your credentials: log in again, or choose another --context",
        ),
        (ClusterRefused("PATCH /x: HTTP 422: it is wrong", http_status=422), "it is wrong"),
        (ObjectNotFound('GET /x: HTTP 404: agbsessions "s" not found', http_status=404), 'agbsessions "s" not found'),
    ],
)
def test_failures_are_told_to_the_person_who_asked(error: Any, says: str) -> None:
    assert explained(error).message == says
