"""What the code relies on in kopf beyond its documented interface: before its upper bound is raised, this must pass."""

import inspect

import aiohttp
import kopf
import pytest
from kopf._cogs.clients import api, watching

from agb_operator.kube.kopf_watch import _NoDiffs, _NoProgress


def test_a_watch_s_answer_is_read_by_iter_chunked_alone() -> None:
    _, _, source = inspect.getsource(api.iter_jsonlines).split('"""')
    assert "content.iter_chunked(" in source, "kopf reads a watch in another way: watch_stream must follow"
    assert source.count("content.") == 1, "kopf reads a watch in a second way: watch_stream must follow"


def test_a_request_goes_through_the_session_that_we_gave() -> None:
    source = inspect.getsource(api.request)
    assert "context.session.request(" in source, "kopf no longer asks our session: its middlewares see no watch"
    parameters = inspect.signature(kopf.AiohttpSession).parameters
    assert {"server", "aiohttp_session"} <= set(parameters), "kopf takes a session in another way: see kopf_watch"


def test_a_connection_that_fails_is_tried_again() -> None:
    assert "aiohttp.ClientConnectionError" in inspect.getsource(watching.watch_objs)
    assert issubclass(aiohttp.ClientConnectorError, aiohttp.ClientConnectionError)


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (
            kopf.spawn_tasks,
            {"registry", "settings", "identity", "standalone", "clusterwide", "namespaces", "stop_flag"},
        ),
        (kopf.run_tasks, {"ignored"}),
    ],
)
def test_the_tasks_are_started_and_run_as_two_steps(function: object, names: set[str]) -> None:
    assert callable(function)
    missing = names - set(inspect.signature(function).parameters)
    assert not missing, f"kopf no longer takes {missing}: run_kopf in kopf_watch must follow"


@pytest.mark.parametrize("storage", [_NoDiffs, _NoProgress])
def test_our_storages_leave_nothing_of_kopf_s_to_be_done(storage: type) -> None:
    base = storage.__mro__[1]
    left = {name for name in getattr(base, "__abstractmethods__", ()) if getattr(storage, name) is getattr(base, name)}
    assert not left, f"kopf's storage has grown {left}: {storage.__name__} in kopf_watch must follow"


@pytest.mark.parametrize(
    "path",
    [
        "posting.enabled",
        "persistence.diffbase_storage",
        "persistence.progress_storage",
        "scanning.disabled",
        "watching.chunk_size",
        "watching.server_timeout",
        "watching.client_timeout",
        "watching.inactivity_timeout",
        "watching.reconnect_backoff",
        "networking.request_timeout",
        "networking.connect_timeout",
        "queueing.idle_timeout",
        "queueing.exit_timeout",
        "execution.max_workers",
    ],
)
def test_a_setting_is_still_there(path: str) -> None:
    section, name = path.split(".")
    assert hasattr(getattr(kopf.OperatorSettings(), section), name), f"kopf has no settings.{path}: see kopf_watch"
