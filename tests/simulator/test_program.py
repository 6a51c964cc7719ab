"""The command `agb-simulator` and its HTTP side, as a process."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from agb_simulator import SimulatorControl
from agb_simulator.effects import Delay, HttpError, LostAnswer
from simulator.caller import KEY, OTHER_KEY

DEADLINE = 20.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    """A simulator that is up: its process, its address and its control."""

    process: subprocess.Popen[str]
    address: str
    control: SimulatorControl

    def client(self, key: str = KEY, timeout: float = DEADLINE) -> httpx.Client:
        headers = {"authorization": f"Bearer {key}"}
        return httpx.Client(base_url=self.address, headers=headers, timeout=timeout, trust_env=False)


@contextmanager
def simulator(*flags: str) -> Iterator[Running]:
    """Run `agb-simulator --port 0` with more flags; it is ended and waited for whatever happens."""
    command = [sys.executable, "-m", "agb_simulator", "--port", "0", *flags]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process, process.stdout as out:
        try:
            first = json.loads(out.readline())
            assert first["pid"] == process.pid
            assert first["address"].endswith(f":{first['port']}")
            address = first["address"]
            yield Running(process=process, address=address, control=SimulatorControl.over_http(address))
        finally:
            process.kill()


def run(*flags: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    command = [sys.executable, "-m", "agb_simulator", *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)


def test_a_session_lives_over_http() -> None:
    with simulator("--transition", "0", "--api-key", KEY) as sim, sim.client() as client:
        created = client.post("/mcp/createSession?imageId=agb-code-space-1", json={"labels": '{"a": "é & b"}'})
        session = created.json()["data"]["sessionId"]
        body = {"sessionId": session}
        assert client.post("/mcp/pauseSessionAsync", json=body).json()["success"]
        got = client.post(f"{sim.address}//mcp/getSession", json=body)
        assert got.json()["data"]["status"] == "PAUSED"
        assert got.headers["content-type"] == "application/json"
        assert got.headers["x-request-id"] == got.json()["requestId"]
        listed = client.get("/sdk/ListSession", params={"labels": '{"a": "é & b"}', "maxResults": "5"})
        assert listed.json()["data"] == [{"sessionId": session, "sessionStatus": "PAUSED"}]
        assert client.get("/sdk/nosuch").status_code == 404
        with sim.client(OTHER_KEY) as stranger:
            assert stranger.get("/sdk/ListSession").status_code == 401


def test_hooks_work_over_http() -> None:
    with simulator("--transition", "1h") as sim, sim.client() as client:
        session = sim.control.add_session(KEY, labels={"a": "b"})
        client.post("/mcp/pauseSessionAsync", json={"sessionId": session})
        sim.control.advance(3600)
        assert sim.control.session(session)["status"] == "PAUSED"
        sim.control.add_fault(HttpError(status=503, retry_after=7, html=True), count=1)
        refused = client.get("/sdk/ListSession")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "7")
        assert refused.headers["content-type"] == "text/html"
        assert [entry.status for entry in sim.control.requests()] == [200, 503]


def test_a_lost_answer_closes_the_connection_and_the_server_lives_on() -> None:
    with simulator("--transition", "0") as sim, sim.client() as client:
        session = sim.control.add_session(KEY)
        sim.control.add_fault(LostAnswer(), endpoint="pauseSessionAsync", count=1)
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            client.post("/mcp/pauseSessionAsync", json={"sessionId": session})
        assert sim.control.session(session)["status"] == "PAUSED"
        assert client.get("/sdk/ListSession").status_code == 200


def test_an_answer_later_than_the_clients_patience_has_taken_effect() -> None:
    with simulator("--transition", "0") as sim:
        session = sim.control.add_session(KEY)
        sim.control.add_fault(Delay(seconds=3600), endpoint="pauseSessionAsync", count=1)
        with sim.client(timeout=0.3) as client, pytest.raises(httpx.ReadTimeout):
            client.post("/mcp/pauseSessionAsync", json={"sessionId": session})
        assert sim.control.session(session)["status"] == "PAUSED"


def test_a_slow_answer_does_not_hold_up_the_others() -> None:
    with simulator() as sim, ThreadPoolExecutor() as pool:
        slow, quick = sim.control.add_session(KEY), sim.control.add_session(KEY)
        sim.control.add_fault(Delay(seconds=3600), session_id=slow)

        def pause(session: str, timeout: float) -> int:
            with sim.client(timeout=timeout) as client:
                return client.post("/mcp/pauseSessionAsync", json={"sessionId": session}).status_code

        held = pool.submit(pause, slow, 2.0)
        deadline = time.monotonic() + DEADLINE
        while sim.control.session(slow)["status"] == "RUNNING":
            assert time.monotonic() < deadline
        assert pause(quick, DEADLINE) == 200
        with pytest.raises(httpx.ReadTimeout):
            held.result(timeout=DEADLINE)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0_even_while_an_answer_is_held_back(number: signal.Signals) -> None:
    with simulator() as sim, ThreadPoolExecutor() as pool, sim.client() as client:
        sim.control.add_fault(Delay(seconds=3600), endpoint="ListSession")
        held = pool.submit(client.get, "/sdk/ListSession")
        deadline = time.monotonic() + DEADLINE
        while not sim.control.requests():
            assert time.monotonic() < deadline
        sim.process.send_signal(number)
        assert sim.process.wait(timeout=DEADLINE) == 0
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            held.result(timeout=DEADLINE)


def test_flags_reach_the_settings() -> None:
    flags = ["--transition", "1m30s", "--latency", "1ms", "--rate-limit", "5", "--no-retry-after"]
    with simulator(*flags, "--session-limit", "3", "--max-page-size", "50") as sim:
        settings = sim.control.hook("GET", "settings")
        assert (settings["transition"], settings["latency"], settings["rateLimit"]) == (90, 0.001, 5)
        assert settings["sendRetryAfter"] is False
        assert (settings["sessionLimit"], settings["maxPageSize"]) == (3, 50)
        assert settings["acceptAnyKey"] is True
    with simulator("--api-key", KEY, "--api-key", OTHER_KEY) as sim:
        assert sim.control.hook("GET", "settings")["acceptAnyKey"] is False


def test_the_same_seed_gives_the_same_ids() -> None:
    def first() -> list[str]:
        with simulator("--seed", "5") as sim:
            return sim.control.add_sessions(KEY, count=3)

    assert first() == first()


def test_the_request_log_is_a_file_of_json_lines_that_is_appended_to(tmp_path: Path) -> None:
    log = tmp_path / "requests.jsonl"
    for _ in range(2):
        with simulator("--request-log", str(log)) as sim, sim.client() as client:
            client.get("/sdk/ListSession")
            sim.process.send_signal(signal.SIGTERM)
            assert sim.process.wait(timeout=DEADLINE) == 0
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(line["seq"], line["endpoint"], line["status"]) for line in lines] == [(1, "ListSession", 200)] * 2
    assert {"wallTime", "sessionId", "stateBefore", "requestId"} <= lines[0].keys()
    assert "simulator-key" not in log.read_text()


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--transition", "soon"], "'soon' is not a duration: write it like 20ms, 1.5s or 1h30m"),
        (["--transition", "5"], "'5' is not a duration"),
        (["--latency", "-1s"], "'-1s' is not a duration"),
        (["--port", "70000"], "70000 is not in the range 0<=x<=65535"),
        (["--rate-limit", "0"], "0.0 is not in the range x>0"),
        (["--session-limit", "many"], "'many' is not a valid integer"),
        (["--max-page-size", "0"], "0 is not in the range x>=1"),
        (["--nosuch"], "No such option"),
        (["--port", "0", "--request-log", "/nonexistent/log"], "cannot write the request log"),
        (["--port", "0", "--host", "no such host"], "cannot listen on no such host:0"),
    ],
)
def test_a_wrong_flag_ends_it_with_one_clear_line(flags: list[str], text: str) -> None:
    done = run(*flags)
    assert done.returncode != 0
    assert text in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_port_in_use_is_said_to_be_so() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("--port", str(port))
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert os.strerror(errno.EADDRINUSE).lower() in done.stderr.lower()
    assert "Traceback" not in done.stderr


def test_help_teaches() -> None:
    done = run("--help")
    assert done.returncode == 0
    words = " ".join(done.stdout.split())
    for word in ("--transition", "AGB_ENDPOINT", "/_sim/", "Do not expose it"):
        assert word in words


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_without_a_host_it_serves_ipv4_and_ipv6() -> None:
    with simulator("--host", "") as running:
        port = httpx.URL(running.address).port
        for host in ("127.0.0.1", "[::1]"):
            answer = httpx.get(f"http://{host}:{port}/_sim/settings", trust_env=False)
            assert answer.status_code == 200
