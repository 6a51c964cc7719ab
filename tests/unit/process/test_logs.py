"""Log records are lines that people or machines read, and hold no key."""

import io
import json
import logging
import warnings
from collections.abc import Iterator

import pytest

from agb_operator.agb.api_key import ApiKey
from agb_operator.model.resource import ObjectKey
from agb_operator.process.logs import configure_logs, hide

logger = logging.getLogger("agb_operator.control.reconciler")


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Put pytest's own handlers and every level back."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    names = ("asyncio", "aiohttp", "kubernetes", "kopf", "kopf.objects")
    levels = {name: logging.getLogger(name).level for name in names}
    yield
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, old in levels.items():
        logging.getLogger(name).setLevel(old)


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


def test_text_is_one_line_with_time_level_module_and_fields(out: io.StringIO) -> None:
    configure_logs("text", "info", stream=out)
    fields = {"namespace": "ml", "resource": "batch-7", "session_id": "session-1", "request_id": ""}
    logger.info("%s: %s", "ml/batch-7", "Paused", extra=fields)
    time, rest = out.getvalue().split(" ", 1)
    assert time.endswith("Z")
    assert rest == "INFO    reconciler: ml/batch-7: Paused session=session-1\n"


def test_a_text_from_outside_cannot_forge_a_second_record(out: io.StringIO) -> None:
    configure_logs("text", "info", stream=out)
    logger.info("the API says: %s", "bad\n2026-01-01T00:00:00Z INFO all is well\r\n")
    assert out.getvalue().count("\n") == 1
    assert "bad\\n2026" in out.getvalue()


def test_json_is_one_object_a_line_with_the_fields_by_name(out: io.StringIO) -> None:
    configure_logs("json", "info", stream=out)
    fields = {"namespace": "ml", "resource": "batch-7", "session_id": "session-1", "request_id": "R-1"}
    logger.warning("two\nlines", extra=fields)
    (line,) = out.getvalue().splitlines()
    content = json.loads(line)
    assert content.pop("time").endswith("Z")
    assert content == {
        "level": "warning",
        "logger": "agb_operator.control.reconciler",
        "message": "two\nlines",
        "namespace": "ml",
        "name": "batch-7",
        "session": "session-1",
        "request": "R-1",
    }


def test_json_holds_an_exception_as_a_field(out: io.StringIO) -> None:
    configure_logs("json", "info", stream=out)
    try:
        raise RuntimeError("it broke")
    except RuntimeError:
        logger.exception("a pass failed")
    (line,) = out.getvalue().splitlines()
    assert "RuntimeError: it broke" in json.loads(line)["exception"]


def test_text_shows_a_traceback_below_its_line(out: io.StringIO) -> None:
    configure_logs("text", "info", stream=out)
    try:
        raise RuntimeError("it broke")
    except RuntimeError:
        logger.exception("a pass failed")
    lines = out.getvalue().splitlines()
    assert lines[0].endswith("reconciler: a pass failed")
    assert lines[-1] == "RuntimeError: it broke"


@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize("secret", ["simulator-key-a", 'simulator"key\\b'])
def test_a_known_key_is_blanked_in_message_arguments_fields_and_traceback(
    out: io.StringIO, log_format: str, secret: str
) -> None:
    configure_logs(log_format, "info", stream=out)
    hide(ApiKey(secret))
    try:
        raise RuntimeError(f"refused: {secret}")
    except RuntimeError:
        logger.exception("it said %s, then %r", secret, secret, extra={"session_id": f"at {secret}"})
    logger.warning("failed: %s", ValueError(secret))
    logger.warning(f"a library's own line with {secret} in it")
    logger.warning("%(named)s", {"named": secret})
    written = out.getvalue()
    assert "simulator" not in written
    assert written.count("[redacted]") >= 6


@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize("key", ['"level":', "prod/victim", "reconciler", "failed", "namespace"])
def test_a_key_that_is_a_word_of_ours_or_another_s_name_breaks_no_line_and_hides_nobody(
    out: io.StringIO, log_format: str, key: str
) -> None:
    configure_logs(log_format, "info", stream=out)
    hide(ApiKey(key))
    fields = {"namespace": "prod", "resource": "victim", "session_id": "s-1", "request_id": "R-1"}
    logger.warning("%s: %s failed: %s", ObjectKey("prod", "victim"), "a look", f"AGB said {key}.", extra=fields)
    (line,) = out.getvalue().splitlines()
    assert "prod/victim: a look failed: AGB said [redacted]." in line
    if log_format == "json":
        content = json.loads(line)
        assert (content["level"], content["namespace"], content["name"]) == ("warning", "prod", "victim")


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_control_characters_of_others_are_written_as_escapes(out: io.StringIO, log_format: str) -> None:
    configure_logs(log_format, "info", stream=out)
    logger.warning("AGB said %s", "\x1b[2J\x9b31m\u202eevil\u2028\x7f", extra={"session_id": "s\x1b]0;"})
    (line,) = out.getvalue().removesuffix("\n").split("\n")
    assert line.isprintable()
    assert r"[2J" in line


def test_a_key_too_short_to_be_one_blanks_nothing(out: io.StringIO) -> None:
    configure_logs("text", "info", stream=out)
    hide(ApiKey("a"))
    logger.info("a pause")
    assert out.getvalue().endswith("a pause\n")


def test_of_many_keys_the_newest_stay_blanked(out: io.StringIO) -> None:
    configure_logs("text", "info", stream=out)
    for number in range(1500):
        hide(ApiKey(f"simulator-key-{number}"))
    logger.info("simulator-key-1499")
    assert "simulator" not in out.getvalue()


def test_the_level_decides_what_is_written(out: io.StringIO) -> None:
    configure_logs("text", "warning", stream=out)
    logger.info("a transition")
    logger.warning("a retry")
    assert out.getvalue().count("\n") == 1


@pytest.mark.parametrize("name", ["kopf._core.reactor.queueing", "kopf.objects", "aiohttp.access"])
def test_the_libraries_are_quiet_but_for_warnings(out: io.StringIO, name: str) -> None:
    configure_logs("text", "info", stream=out)
    logging.getLogger(name).info("an event")
    assert out.getvalue() == ""
    logging.getLogger(name).warning("trouble")
    assert "trouble" in out.getvalue()


def test_a_python_warning_is_a_record(out: io.StringIO) -> None:
    configure_logs("text", "info", stream=out)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("this goes away", DeprecationWarning, stacklevel=1)
    assert "this goes away" in out.getvalue()
    assert out.getvalue().count("\n") == 1
