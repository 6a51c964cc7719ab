"""Requests to an API server that behaves badly end in the error that tells the caller what to do."""

import asyncio
import base64
import json
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
from aiohttp import web

from agb_operator.kube.cluster import connect_cluster
from agb_operator.kube.config import find_cluster
from agb_operator.kube.connection import _PAUSES
from agb_operator.model.errors import (
    ClusterError,
    ClusterForbidden,
    ClusterRefused,
    ClusterUnavailable,
    Conflict,
    ObjectNotFound,
    StartupError,
)
from unit.kube.api_server import ApiServer, Connect, Handler, kubeconfig


def status(reason: str, message: str = "the server's words") -> dict[str, Any]:
    return {"kind": "Status", "status": "Failure", "reason": reason, "message": message}


class Refusal(NamedTuple):
    why: str
    http_status: int
    body: object
    error: type[ClusterError]


REFUSALS = [
    Refusal("a version that is no longer current", 409, status("Conflict"), Conflict),
    Refusal("an object that exists already", 409, status("AlreadyExists"), Conflict),
    Refusal("an object that is gone", 404, status("NotFound"), ObjectNotFound),
    Refusal("a page of a proxy that knows no such path", 404, "404 page not found", ClusterUnavailable),
    Refusal("no right to do so", 403, status("Forbidden"), ClusterForbidden),
    Refusal("a token that is not accepted", 401, status("Unauthorized"), ClusterForbidden),
    Refusal("an object that breaks the schema", 422, status("Invalid"), ClusterRefused),
    Refusal("a malformed request", 400, status("BadRequest"), ClusterRefused),
    Refusal("an object that is too large", 413, status("RequestEntityTooLarge"), ClusterRefused),
    Refusal("a list token that expired", 410, status("Expired"), ClusterUnavailable),
    Refusal("too many requests", 429, status("TooManyRequests"), ClusterUnavailable),
    Refusal("an etcd that is away", 500, status("InternalError"), ClusterUnavailable),
    Refusal("a load balancer without a server", 502, "<html>bad gateway</html>", ClusterUnavailable),
    Refusal("a server that shuts down", 503, status("ServiceUnavailable"), ClusterUnavailable),
    Refusal("a server that is too slow", 504, status("Timeout"), ClusterUnavailable),
]


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.why)
async def test_a_refusal_becomes_the_error_that_tells_what_to_do(
    case: Refusal, server: ApiServer, connect: Connect
) -> None:
    cluster = await connect()
    server.says(case.http_status, case.body)
    with pytest.raises(ClusterError) as error:
        await cluster.patch_status("ml", "batch", resource_version="1", patch={"phase": "Paused"})
    assert type(error.value) is case.error
    assert error.value.http_status == case.http_status
    assert "PATCH /apis/agb.cloud/v1alpha1/namespaces/ml/agbsessions/batch/status" in error.value.message
    if isinstance(case.body, dict):
        assert "the server's words" in error.value.message


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.why)
async def test_a_request_that_fails_is_sent_once_since_the_caller_decides_when_to_try_again(
    case: Refusal, server: ApiServer, connect: Connect
) -> None:
    cluster = await connect()
    server.says(case.http_status, case.body)
    with pytest.raises(ClusterError) as error:
        await cluster.read("ml", "batch")
    assert error.value.http_status == case.http_status
    assert len(server.requests) == 1


async def test_it_is_busy_while_the_next_request_would_have_to_wait_for_its_turn(
    server: ApiServer, connect: Connect
) -> None:
    cluster = await connect()
    enough = asyncio.Event()

    async def answer(_: web.Request) -> web.StreamResponse:
        await enough.wait()
        return web.json_response({"kind": "AgbSession"})

    server.answer = answer
    busy = []
    requests = [asyncio.create_task(cluster.read("ml", "batch")) for _ in range(31)]
    await server.seen(31)
    busy.append(cluster.busy("ml"))
    requests += [asyncio.create_task(cluster.read("ml", "batch")) for _ in range(9)]
    await server.seen(32)
    busy.append(cluster.busy("ml"))
    assert not cluster.busy("another namespace")
    enough.set()
    await asyncio.gather(*requests)
    busy.append(cluster.busy("ml"))
    assert busy == [False, True, False]


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7.0), ("86400", 60.0), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("-1", None)]
)
async def test_the_server_s_wish_to_wait_is_handed_on_and_never_a_day(
    header: str, seconds: float | None, server: ApiServer, connect: Connect
) -> None:
    cluster = await connect()
    server.says(429, status("TooManyRequests"), Retry_After=header)
    with pytest.raises(ClusterUnavailable) as error:
        await cluster.patch_status("ml", "batch", resource_version="1", patch={"phase": "Paused"})
    assert error.value.retry_after == seconds


@pytest.mark.parametrize("text", ["", "hello", "[]", "null", '{"cut', "{}"])
async def test_an_answer_that_is_no_object_counts_as_none(text: str, server: ApiServer, connect: Connect) -> None:
    cluster = await connect()
    server.says(200, text=text)
    with pytest.raises(ClusterUnavailable, match="not a JSON object"):
        await cluster.read("ml", "batch")


async def test_a_server_that_never_answers_is_given_up_after_the_timeout(server: ApiServer, connect: Connect) -> None:
    async def never(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(3600)
        raise AssertionError

    cluster = await connect(timeout=0.2)
    server.answer = never
    with pytest.raises(ClusterUnavailable, match=r"gave no answer in 0\.2 s"):
        await cluster.read("ml", "batch")


async def test_a_body_that_never_ends_is_given_up_after_the_timeout(server: ApiServer, connect: Connect) -> None:
    async def trickle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"{")
        await asyncio.sleep(3600)
        return response

    cluster = await connect(timeout=0.2)
    server.answer = trickle
    with pytest.raises(ClusterUnavailable, match="gave no answer"):
        await cluster.read("ml", "batch")


async def hang_up(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


async def test_a_connection_that_breaks_is_told_with_the_server_s_address(server: ApiServer, connect: Connect) -> None:
    cluster = await connect()
    server.answer = hang_up
    with pytest.raises(ClusterUnavailable, match=f"cannot reach the API server at {server.url}"):
        await cluster.read("ml", "batch")


async def test_a_list_that_is_none_is_not_taken_for_an_empty_one(server: ApiServer, connect: Connect) -> None:
    cluster = await connect()
    server.says(200, {"metadata": {}, "welcome": "to the gateway"})
    with pytest.raises(ClusterUnavailable, match="without a list"):
        await cluster.list_names()


@pytest.mark.parametrize("name", ["../../kube-system/secrets/admin", "..", "", "A", "a/b", "a?b", "a%2fb", "-a", "a."])
async def test_what_cannot_be_a_name_never_becomes_part_of_a_url(
    name: str, server: ApiServer, connect: Connect
) -> None:
    cluster = await connect()
    with pytest.raises(ObjectNotFound, match="cannot be the name"):
        await cluster.read_secret("ml", name)
    with pytest.raises(ObjectNotFound, match="cannot be the name"):
        await cluster.read_secret(name, "agb-credentials")
    assert server.requests == []


async def test_a_secret_without_entries_is_empty(server: ApiServer, connect: Connect) -> None:
    cluster = await connect()
    server.says(200, {"kind": "Secret", "type": "Opaque"})
    assert await cluster.read_secret("ml", "agb-credentials") == {}


async def test_requests_say_who_sends_them(server: ApiServer, connect: Connect) -> None:
    cluster = await connect()
    server.says(200, {"kind": "AgbSession"})
    await cluster.read("ml", "batch")
    (request,) = server.requests
    assert request.headers["Authorization"] == "Bearer simulated-token"
    assert request.headers["User-Agent"].startswith("agb-operator/")


class Gate:
    """Lets one token in, and refuses every other with 401."""

    def __init__(self, server: ApiServer, token: str) -> None:
        self.token = token
        server.answer = self.answer

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.headers["Authorization"] != f"Bearer {self.token}":
            return web.json_response(status("Unauthorized"), status=401)
        return web.json_response({"kind": "AgbSession"})


async def test_a_token_that_was_replaced_in_its_file_is_read_again_when_refused(
    server: ApiServer, connect: Connect, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("simulated-token-1\n")
    cluster = await connect(tokenFile=str(file))
    gate = Gate(server, "simulated-token-1")
    await cluster.read("ml", "batch")
    gate.token = "simulated-token-2"
    file.write_text("simulated-token-2\n")
    assert await asyncio.gather(*(cluster.read("ml", "batch") for _ in range(20))) == [{"kind": "AgbSession"}] * 20


async def test_the_watch_s_session_carries_the_credentials_and_tells_of_what_was_accepted(
    server: ApiServer, connect: Connect
) -> None:
    cluster = await connect()
    told: list[str] = []
    async with await cluster.open_session(told.append, print) as session:
        await session.get(cluster.server + "/good?watch=true")
        server.says(410)
        await session.get(cluster.server + "/gone")
    assert {request.headers["Authorization"] for request in server.requests} == {"Bearer simulated-token"}
    assert told == ["/good"]


async def test_the_watch_waits_for_credentials_that_the_server_accepts(
    server: ApiServer, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agb_operator.kube.connection._RENEWAL_PAUSE", 0.05)
    file = tmp_path / "token"
    file.write_text("simulated-token-1")
    cluster = await connect(tokenFile=str(file))
    Gate(server, "simulated-token-2")
    opening = asyncio.create_task(cluster.open_session(print, print))
    async with asyncio.timeout(30):
        await server.seen(3)
    assert not opening.done()
    file.write_text("simulated-token-2")
    async with asyncio.timeout(30), await opening as session:
        answer = await session.get(cluster.server + "/watch")
    assert answer.status == 200


async def test_a_watch_that_is_not_allowed_is_asked_for_again_until_it_is(
    server: ApiServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(_PAUSES, 403, 0.01)
    cluster = await connect()
    accepted: list[str] = []
    forbidden: list[tuple[str, int]] = []
    async with await cluster.open_session(accepted.append, lambda *refused: forbidden.append(refused)) as session:
        server.says(403)
        watching = asyncio.create_task(session.get(cluster.server + "/watched?watch=true"))
        async with asyncio.timeout(30):
            await server.seen(4)
            assert not watching.done()
            server.says(200, {})
            answer = await watching
    assert answer.status == 200
    assert accepted == ["/watched"]
    assert set(forbidden) == {("/watched", 403)}
    assert len(forbidden) >= 2


EXEC = {"apiVersion": "client.authentication.k8s.io/v1"}


async def test_an_exec_plugin_is_asked_again_when_its_token_is_refused(
    server: ApiServer, connect: Connect, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    plugin = tmp_path / "plugin"
    credential = {**EXEC, "kind": "ExecCredential", "status": {"token": "run-%s"}}
    plugin.write_text(f"""#!/bin/sh
echo run >> {runs}
printf '{json.dumps(credential)}' "$(wc -l < {runs} | tr -d ' ')"
""")
    plugin.chmod(0o755)
    cluster = await connect(exec={**EXEC, "command": str(plugin)})
    gate = Gate(server, "run-1")
    await cluster.read("ml", "batch")
    gate.token = "run-2"
    await asyncio.gather(*(cluster.read("ml", "batch") for _ in range(20)))
    assert runs.read_text().splitlines() == ["run", "run"]


async def test_a_token_that_stays_refused_is_not_read_or_sent_in_a_storm(
    server: ApiServer, connect: Connect, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "token"
    file.write_text("simulated-token-1")
    cluster = await connect(tokenFile=str(file))
    Gate(server, "another")
    caplog.set_level("INFO", logger="agb_operator.kube.connection")
    for _ in range(10):
        with pytest.raises(ClusterForbidden) as error:
            await cluster.read("ml", "batch")
        assert "simulated-token" not in str(error.value)
    assert len(server.requests) == 10
    assert len(caplog.records) == 1


async def test_a_kubeconfig_that_went_away_leaves_the_refusal_standing(
    server: ApiServer, connect: Connect, tmp_path: Path
) -> None:
    cluster = await connect(token="simulated-token")
    (tmp_path / "kubeconfig").unlink()
    Gate(server, "another")
    with pytest.raises(ClusterForbidden):
        await cluster.read("ml", "batch")


async def test_a_crd_that_turns_up_a_moment_later_is_waited_for(server: ApiServer, connect: Connect) -> None:
    cluster = await connect()
    served = {"resources": [{"name": "agbsessions"}, {"name": "agbsessions/status"}]}

    async def discovery(request: web.Request) -> web.StreamResponse:
        if len(server.requests) == 1:
            return web.Response(status=404, text="404 page not found")
        if request.path.endswith("v1alpha1"):
            return web.json_response(served)
        return web.json_response({"kind": "PartialObjectMetadataList", "metadata": {}})

    server.answer = discovery
    await cluster.check(["ml", "web"], patience=20)
    assert [request.path.removeprefix("/apis/agb.cloud/v1alpha1") for request in server.requests] == [
        "", "", *["/namespaces/ml/agbsessions"] * 2, *["/namespaces/web/agbsessions"] * 2,
    ]  # fmt: skip


async def forbid(_: web.Request) -> web.StreamResponse:
    return web.json_response(status("Forbidden", 'cannot watch resource "agbsessions"'), status=403)


async def fail(_: web.Request) -> web.StreamResponse:
    return web.json_response(status("InternalError", "etcd is away"), status=500)


@pytest.mark.parametrize(
    ("watch", "says"),
    [
        (forbid, 'HTTP 403: cannot watch resource "agbsessions": grant the operator its RBAC rules'),
        (fail, "HTTP 500: etcd is away: check that the cluster runs"),
        (hang_up, "Server disconnected: check that the cluster runs"),
    ],
)
async def test_a_start_whose_watch_cannot_be_had_says_why(
    watch: Handler, says: str, server: ApiServer, connect: Connect
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if "watch" in request.query:
            return await watch(request)
        served = [{"name": "agbsessions"}, {"name": "agbsessions/status"}]
        return web.json_response({"kind": "PartialObjectMetadataList", "metadata": {}, "resources": served})

    server.answer = answer
    cluster = await connect()
    with pytest.raises(StartupError, match=re.escape(says)) as error:
        await cluster.check(patience=0)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "body", ["404 page not found", {"resources": [{"name": "agbsessions"}]}], ids=["none", "other"]
)
async def test_a_missing_crd_is_told_with_the_way_to_install_it(
    body: object, server: ApiServer, connect: Connect
) -> None:
    cluster = await connect()
    server.says(200 if isinstance(body, dict) else 404, body)
    with pytest.raises(StartupError, match=r"apply crds/agbsessions\.yaml") as error:
        await cluster.check(patience=0)
    assert "\n" not in str(error.value)


async def test_an_unreachable_server_is_told_in_one_line(connect: Connect, server: ApiServer) -> None:
    server.url = "http://127.0.0.1:1"
    cluster = await connect()
    with pytest.raises(StartupError, match=r"127\.0\.0\.1:1: Connection refused: .*can be reached from here") as error:
        await cluster.check(patience=0)
    assert "\n" not in str(error.value)


async def test_waiting_for_the_cluster_is_told_once(
    connect: Connect, server: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.url = "http://127.0.0.1:1"
    cluster = await connect()
    with pytest.raises(StartupError):
        await cluster.check(patience=1.5)
    assert [record.getMessage().split(":")[0] for record in caplog.records] == ["waiting"]


async def test_a_certificate_that_is_none_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = kubeconfig(tmp_path / "kubeconfig", "https://127.0.0.1:1", token="simulated-token")
    content = json.loads(file.read_text())
    content["clusters"][0]["cluster"]["certificate-authority-data"] = base64.b64encode(b"none").decode()
    file.write_text(json.dumps(content))
    monkeypatch.setenv("KUBECONFIG", str(file))
    with pytest.raises(StartupError, match="certificate-authority-data: there is no certificate in it"):
        await connect_cluster(find_cluster(os.environ))


@pytest.mark.parametrize(("header", "pause"), [("3", 3.0), ("86400", 60.0), ("", 1.0), ("soon", 1.0)])
async def test_the_watch_waits_as_it_is_asked_and_never_for_a_day(
    header: str, pause: float, server: ApiServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = await connect()
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        server.says(200, {})

    refused: list[tuple[str, int]] = []
    async with await cluster.open_session(print, lambda *told: refused.append(told)) as session:
        monkeypatch.setattr("agb_operator.kube.connection.asyncio.sleep", sleep)
        server.says(429, status("TooManyRequests"), Retry_After=header)
        assert (await session.get(cluster.server + "/watched?watch=true")).status == 200
    assert (pauses, refused) == ([pause], [("/watched", 429)])


async def test_the_paths_of_the_watch_are_told_without_the_prefix_of_the_server(
    server: ApiServer, connect: Connect
) -> None:
    server.url += "/k8s/clusters/c-1"
    cluster = await connect()
    told: list[str] = []
    async with await cluster.open_session(told.append, print) as session:
        await session.get(cluster.server + "/apis/agb.cloud/v1alpha1/agbsessions?watch=true")
    assert told == ["/apis/agb.cloud/v1alpha1/agbsessions"]
    assert server.requests[-1].path == "/k8s/clusters/c-1/apis/agb.cloud/v1alpha1/agbsessions"


async def test_impersonation_is_asked_for_on_both_connections(server: ApiServer, connect: Connect) -> None:
    wanted = {"as": "ops", "as-uid": "7", "as-groups": ["one", "two"], "as-user-extra": {"a/b": ["x"]}}
    cluster = await connect(token="simulated-token", **wanted)
    server.says(200, {"kind": "AgbSession"})
    await cluster.read("ml", "batch")
    async with await cluster.open_session(print, print) as session:
        await session.get(cluster.server + "/watched?watch=true")
    for request in (server.requests[0], server.requests[-1]):
        asked = [(name, value) for name, value in request.headers.items() if name.startswith("Impersonate-")]
        assert asked == [
            ("Impersonate-User", "ops"),
            ("Impersonate-Uid", "7"),
            ("Impersonate-Group", "one"),
            ("Impersonate-Group", "two"),
            ("Impersonate-Extra-a%2Fb", "x"),
        ]


PROXY_PASSWORD = "proxy-password"


@asynccontextmanager
async def refusing_proxy() -> AsyncIterator[tuple[str, list[str]]]:
    """A proxy that answers each request with 502; gives its address, and what it was sent."""
    heads: list[str] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as proxy:
        yield f"127.0.0.1:{proxy.sockets[0].getsockname()[1]}", heads


async def test_a_proxy_that_refuses_is_named_on_both_connections_and_its_password_is_not(
    server: ApiServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with refusing_proxy() as (address, heads):
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:{PROXY_PASSWORD}@{address}")
        server.url = "https://k8s.example.invalid"
        cluster = await connect()
        with pytest.raises(ClusterUnavailable) as refused:
            await cluster.read("ml", "batch")
        async with await cluster.open_session(print, print) as session:
            with pytest.raises(aiohttp.ClientConnectionError) as watch_refused:
                await session.get(cluster.server + "/watched?watch=true")
    said = f"the proxy http://{address} refuses (HTTP 502)"
    assert said in refused.value.message
    assert str(watch_refused.value) == said
    credentials = base64.b64encode(f"me:{PROXY_PASSWORD}".encode()).decode()
    assert all(f"Proxy-Authorization: Basic {credentials}" in head for head in heads)
    for error in (refused.value, watch_refused.value):
        assert PROXY_PASSWORD not in repr(error)
        assert credentials not in repr(error)


@pytest.mark.parametrize(("exempt", "direct"), [("0.0.0.0", True), ("other.example", False)])
async def test_both_connections_go_past_the_proxy_if_the_host_is_excepted_and_only_then(
    exempt: str, direct: bool, server: ApiServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 0.0.0.0 leads to this machine as 127.0.0.1 does, which never goes through a proxy.
    server.url = server.url.replace("127.0.0.1", "0.0.0.0")
    server.says(200, {"kind": "AgbSession"})
    async with refusing_proxy() as (address, heads):
        monkeypatch.setenv("HTTP_PROXY", f"http://{address}")
        monkeypatch.setenv("NO_PROXY", exempt)
        cluster = await connect()
        with nullcontext() if direct else pytest.raises(ClusterUnavailable, match="HTTP 502"):
            await cluster.read("ml", "batch")
        async with await cluster.open_session(print, print) as session:
            assert (await session.get(cluster.server + "/watched")).status == (200 if direct else 502)
    asked = ["/apis/agb.cloud/v1alpha1/namespaces/ml/agbsessions/batch", "/version", "/watched"]
    through = [head.split()[1].removeprefix(server.url) for head in heads]
    assert ([request.path for request in server.requests], through) == ((asked, []) if direct else ([], asked))


async def test_a_list_whose_pages_come_back_to_themselves_ends(server: ApiServer, connect: Connect) -> None:
    cluster = await connect()
    page = {"kind": "PartialObjectMetadataList", "metadata": {"continue": "again"}, "items": []}
    server.says(200, page)  # as a proxy does that answers from its cache
    with pytest.raises(ClusterUnavailable, match="comes back to itself"):
        await asyncio.wait_for(cluster.list_names(), 10.0)
    assert len(server.requests) <= 3
