"""What is proven of a session: whose it is, whether it is gone, whether a call has been obeyed."""

from dataclasses import replace

import pytest

from agb_operator.model.status import OperationState, OperationType, Phase
from agb_operator.policy.backoff import BELIEVE_AFTER, KEY_DOUBTED
from agb_operator.policy.proof import (
    Absence,
    Evidence,
    Former,
    Others,
    Ownership,
    absence,
    contradicts_a_call,
    ownership,
    sent_with,
)
from unit.builders import ID, a_session, a_status, an_operation, seen

SESSION = a_session(status=replace(a_status(session_status="RUNNING"), seen_with="w1"))
OURS = SESSION.session_labels("test")
THEIR_UID = {**OURS, "agb-operator-uid": "uid-of-another"}


@pytest.mark.parametrize(
    ("labels", "lives", "since_create", "whose"),
    [
        (None, False, None, Ownership.UNASKED),
        (OURS, False, None, Ownership.OURS),
        ({"agb-operator-uid": "uid-1"}, False, None, Ownership.OURS),
        (THEIR_UID, False, None, Ownership.RESTORED),
        (THEIR_UID, True, None, Ownership.THEIRS),
        ({**THEIR_UID, "agb-operator-name": "other"}, False, None, Ownership.THEIRS),
        ({**THEIR_UID, "agb-operator-namespace": "other"}, False, None, Ownership.THEIRS),
        ({**THEIR_UID, "agb-operator-cluster": "other"}, False, None, Ownership.THEIRS),
        ({}, False, None, Ownership.UNLABELLED),
        ({"team": "a"}, False, 31.0, Ownership.UNLABELLED),
        ({}, False, 29.0, Ownership.UNPROVEN),
    ],
)
def test_whose_session_it_is_by_its_labels(
    labels: dict[str, str] | None, lives: bool, since_create: float | None, whose: Ownership
) -> None:
    evidence = Evidence(labels=labels, owner_lives=lives)

    assert ownership(SESSION, evidence, cluster_name="test", since_create=since_create) == whose


@pytest.mark.parametrize(
    ("witness", "proven", "looks", "lasts", "together", "worth"),
    [
        ("w1", False, 1, 60.0, False, Absence.TOO_EARLY),
        ("w1", False, 2, BELIEVE_AFTER - 0.1, False, Absence.TOO_EARLY),
        ("w1", False, 2, BELIEVE_AFTER, False, Absence.BELIEVED),
        ("w1", False, 9, 60.0, True, Absence.KEY_SUSPECT),
        ("w1", False, 9, KEY_DOUBTED, True, Absence.BELIEVED),
        ("w2", False, 9, KEY_DOUBTED, False, Absence.OTHER_KEY),
        ("w2", True, 9, 60.0, False, Absence.BELIEVED),
    ],
)
def test_what_not_found_is_worth(
    witness: str, proven: bool, looks: int, lasts: float, together: bool, worth: Absence
) -> None:
    evidence = Evidence(witness=witness, key_is_proven=proven, former=Former.SILENT)

    said = absence(SESSION, evidence, looks=looks, lasts=lasts, vouched=True, vanished_together=together)

    assert said == worth


@pytest.mark.parametrize(
    ("others", "looks", "lasts", "worth"),
    [
        (Others.UNASKED, 1, 0.0, Absence.UNVOUCHED),
        (Others.UNASKED, 2, 60.0, Absence.UNVOUCHED),
        (Others.SEEN, 2, 60.0, Absence.TOO_EARLY),
        (Others.UNSEEN, 1, 60.0, Absence.TOO_EARLY),
        (Others.UNSEEN, 2, 60.0, Absence.KEY_SUSPECT),
        (Others.UNSEEN, 2, KEY_DOUBTED, Absence.BELIEVED),
        (Others.NONE, 1, 60.0, Absence.TOO_EARLY),
        (Others.NONE, 2, 60.0, Absence.BELIEVED),
    ],
)
def test_what_not_found_is_worth_where_the_key_has_seen_no_other_session_meanwhile(
    others: Others, looks: int, lasts: float, worth: Absence
) -> None:
    evidence = Evidence(witness="w1", others=others)

    said = absence(SESSION, evidence, looks=looks, lasts=lasts, vouched=False, vanished_together=False)

    assert said == worth


@pytest.mark.parametrize(
    ("witness", "others", "lasts", "worth"),
    [
        ("w1", Others.UNASKED, 0.0, Absence.UNVOUCHED),
        ("w1", Others.SEEN, 0.0, Absence.BELIEVED),
        ("w1", Others.NONE, 0.0, Absence.BELIEVED),
        ("w1", Others.UNSEEN, 0.0, Absence.KEY_SUSPECT),
        ("w1", Others.UNSEEN, KEY_DOUBTED, Absence.BELIEVED),
        ("w2", Others.SEEN, KEY_DOUBTED, Absence.FORMER_UNASKED),
    ],
)
def test_a_release_that_agb_took_spares_the_second_look_and_proves_no_key(
    witness: str, others: Others, lasts: float, worth: Absence
) -> None:
    ended = replace(SESSION, status=replace(SESSION.status, operation=an_operation(OperationType.RELEASE)))
    evidence = Evidence(witness=witness, others=others)

    assert absence(ended, evidence, looks=1, lasts=lasts, vouched=False, vanished_together=True) == worth


@pytest.mark.parametrize(
    ("former", "looks", "others", "worth"),
    [
        (Former.UNASKED, 2, Others.SEEN, Absence.FORMER_UNASKED),
        (Former.SILENT, 2, Others.NONE, Absence.OTHER_KEY),
        (Former.SEES, 2, Others.NONE, Absence.OTHER_KEY),
        (Former.MISSES, 1, Others.NONE, Absence.TOO_EARLY),
        (Former.MISSES, 2, Others.NONE, Absence.BELIEVED),
        (Former.MISSES, 2, Others.UNASKED, Absence.UNVOUCHED),
        (Former.MISSES, 2, Others.UNSEEN, Absence.KEY_SUSPECT),
    ],
)
def test_what_another_key_does_not_find_is_worth_what_the_key_from_before_says(
    former: Former, looks: int, others: Others, worth: Absence
) -> None:
    evidence = Evidence(witness="w2", former=former, others=others)

    said = absence(SESSION, evidence, looks=looks, lasts=60.0, vouched=False, vanished_together=False)

    assert said == worth


@pytest.mark.parametrize(
    ("named", "key", "sent"),
    [("w1", "w1", True), ("w1", "w2", False), ("w1", "", False), ("", "w2", True), (None, "w2", True)],
)
def test_a_create_was_sent_with_the_key_that_its_status_names(named: str | None, key: str, sent: bool) -> None:
    create = None if named is None else replace(an_operation(OperationType.CREATE), sent_with=named)
    session = a_session(status=a_status(session_id="", operation=create))

    assert sent_with(session, key) == sent


def test_a_status_from_before_the_fingerprint_counts_as_seen_with_the_same_key() -> None:
    old = a_session(status=a_status(session_status="RUNNING"))

    worth = absence(old, Evidence(witness="w2"), looks=2, lasts=60.0, vouched=True, vanished_together=False)

    assert worth == Absence.BELIEVED


@pytest.mark.parametrize(("says", "worth"), [(ID, Absence.BELIEVED), ("session-2", Absence.FORMER_UNASKED)])
def test_a_persons_word_is_good_for_one_session(says: str, worth: Absence) -> None:
    told = replace(SESSION, confirmed_lost=says)

    assert absence(told, Evidence(witness="w2"), looks=1, lasts=0.0, vouched=False, vanished_together=True) == worth


def test_a_loss_that_was_told_needs_no_second_proof() -> None:
    lost = replace(SESSION, status=replace(SESSION.status, phase=Phase.LOST))

    assert (
        absence(lost, Evidence(witness="w2"), looks=1, lasts=0.0, vouched=False, vanished_together=True)
        == Absence.BELIEVED
    )


@pytest.mark.parametrize(
    ("word", "listed", "called", "operation", "contradicts"),
    [
        ("RUNNING", True, "Pause", None, True),
        ("RUNNING", True, None, OperationType.PAUSE, True),
        ("RUNNING", True, "Release", None, True),
        ("PAUSED", True, "Resume", None, True),
        ("RUNNING", False, "Pause", None, False),
        ("RUNNING", True, "Resume", OperationType.RESUME, False),
        ("PAUSING", True, "Pause", OperationType.PAUSE, False),
    ],
)
def test_what_a_list_says_against_a_call_of_ours_is_asked_again(
    word: str, listed: bool, called: str | None, operation: OperationType | None, contradicts: bool
) -> None:
    last = None if operation is None else an_operation(operation, OperationState.SUCCEEDED)
    session = a_session(status=a_status(operation=last))

    assert contradicts_a_call(session, replace(seen(word), listed=listed), called) == contradicts
