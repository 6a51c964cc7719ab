"""An API key shows itself to nobody but the header that carries it."""

import copy
import logging
import pickle

import pytest

from agb_operator.agb.api_key import ApiKey

TEXT = "simulator-key-a"


def test_no_way_of_showing_a_key_shows_its_text(caplog: pytest.LogCaptureFixture) -> None:
    key = ApiKey(TEXT)
    logging.getLogger(__name__).warning("%s %r %s", key, key, {"key": key})
    shown = f"{key} {key!r} {[key]} {caplog.text}"
    assert TEXT not in shown
    assert key.fingerprint in shown
    assert key.reveal() == TEXT


def test_a_fingerprint_tells_keys_apart_and_holds_no_part_of_them() -> None:
    fingerprints = {ApiKey(f"simulator-key-{number}").fingerprint for number in range(100)}
    assert len(fingerprints) == 100
    assert all(len(each) == 8 and int(each, 16) >= 0 for each in fingerprints)


def test_white_space_around_a_key_is_no_part_of_it() -> None:
    assert ApiKey(f" {TEXT}\n") == ApiKey(TEXT)
    assert len({ApiKey(TEXT), ApiKey(f"{TEXT}\n"), ApiKey("simulator-key-b")}) == 2
    assert ApiKey(TEXT) != TEXT


@pytest.mark.parametrize("value", ["", " \n", "simulator key", "simulator\nkey", "simulator-kéy", "simulator\0key"])
def test_a_key_that_no_header_can_carry_is_refused_without_quoting_it(value: str) -> None:
    with pytest.raises(ValueError, match="the API key") as caught:
        ApiKey(value)
    assert "simulator" not in str(caught.value)
    assert caught.value.__context__ is None


def test_a_key_does_not_leave_the_process_in_a_pickle() -> None:
    for leave in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="not pickled"):
            leave(ApiKey(TEXT))


def test_a_text_that_repeats_the_key_is_redacted() -> None:
    assert ApiKey(TEXT).redact(f"no such key: {TEXT}!") == "no such key: [api key]!"


def test_a_byte_order_mark_is_named_since_nobody_sees_it() -> None:
    with pytest.raises(ValueError, match="begins with a byte order mark"):
        ApiKey(f"\ufeff{TEXT}\n")
