"""A plan in words: where nothing changes it says so, and its notes say what to do in fields that exist."""

from datetime import UTC

from agb_operator.model.resource import AgbSession
from kubectl_agb.planned import Words
from unit.plugin.test_forecast import HOURS, forecast, schedule, session


def words(*sessions: AgbSession) -> Words:
    known = forecast(schedule("hours", HOURS))
    return Words(forecast=known, members=known.of(sessions), zone=UTC, many=False)


def test_a_table_without_a_change_is_a_sentence() -> None:
    assert words(session("a"), session("b", paused=True)).change_table() == "Nothing changes in this time."


def test_a_table_with_a_change_has_its_header() -> None:
    assert words(session("a", "hours")).change_table().split()[:4] == ["WHEN", "WHAT", "SESSIONS", "WHY"]


def test_the_note_on_waking_names_the_field_and_the_command() -> None:
    (note,) = (note for note in words(session("a", "hours")).notes() if "the clock wakes" in note)

    assert note.endswith(
        "comes later than that, keep spec.paused true and wake it with kubectl agb resume NAME --for 2h."
    )
