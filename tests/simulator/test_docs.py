"""docs/simulator.md tells the truth: its commands work, and it leaves out no hook, setting, fault or flag."""

from __future__ import annotations

import dataclasses
import re
import shlex
from pathlib import Path
from typing import get_args

import pytest
from pydantic.alias_generators import to_camel

from agb_simulator import Entry, Request, Settings
from agb_simulator.__main__ import main
from agb_simulator.effects import Effect
from agb_simulator.endpoints import ROUTES
from simulator.caller import Caller

DOCS = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text()
ADDRESS = "http://127.0.0.1:8090"


def requests() -> list[Request]:
    """The curl lines of the page, in order, as requests."""
    found = []
    for line in re.findall(r"^curl .*$", DOCS, re.MULTILINE):
        words = iter(shlex.split(line)[1:])
        method, target, body, headers = "GET", "", b"", {}
        for word in words:
            match word:
                case "-s":
                    pass
                case "-X":
                    method = next(words)
                case "-d":
                    body = next(words).encode()
                case "-H":
                    name, value = next(words).split(": ", 1)
                    headers[name] = value
                case url:
                    assert url.startswith(ADDRESS)
                    target = url.removeprefix(ADDRESS)
        found.append(Request.to(method, target, headers=headers, body=body))
    return found


def test_every_command_of_the_page_works_in_the_order_of_the_page() -> None:
    caller = Caller()
    assert len(requests()) > 20
    for request in requests():
        reply = caller.api.handle(request)
        assert reply.status == 200, (request, reply.body)


def test_every_hook_has_a_command() -> None:
    # Which hooks there are is asked of the simulator: a wrong method on a known path is 405, not 404.
    caller = Caller()
    shown = {(r.method, re.sub(r"(sessions|faults)/.+", r"\1/ID", r.path)) for r in requests()}
    paths = ["health", "clock", "settings", "faults", "faults/ID", "requests", "stats", "state", "reset", "keys"]
    for path in [*paths, "sessions", "sessions/ID"]:
        for method in ("GET", "POST", "PATCH", "DELETE", "PUT"):
            status = caller.send(method, f"/_sim/{path}", b"no json").status
            known = status != 405
            assert ((method, f"/_sim/{path}") in shown) == known, (method, path, status)


@pytest.mark.parametrize("field", dataclasses.fields(Settings), ids=lambda field: field.name)
def test_every_setting_is_explained(field: dataclasses.Field[object]) -> None:
    assert f"| `{to_camel(field.name)}` |" in DOCS


def effects() -> list[type]:
    return list(get_args(Effect))


@pytest.mark.parametrize("effect", effects(), ids=lambda effect: effect.__name__)
def test_every_effect_is_explained_with_its_fields(effect: type) -> None:
    fields = {field.name: field for field in dataclasses.fields(effect)}
    kind = fields.pop("kind").default
    (row,) = [line for line in DOCS.splitlines() if line.startswith(f"| `{kind}` |")]
    assert re.findall(r"`(\w+)`", row.split("|")[2]) == [to_camel(name) for name in fields]


def test_every_endpoint_flag_and_log_field_is_named() -> None:
    for _, endpoint in ROUTES.values():
        assert endpoint in DOCS
    for option in main.params:
        assert option.opts[0] in DOCS
    for field in dataclasses.fields(Entry):
        assert f"`{to_camel(field.name)}`" in DOCS
