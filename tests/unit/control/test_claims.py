"""Who manages a session that several resources name."""

from dataclasses import replace

from agb_operator.control.claims import UNDECIDED_JUDGEMENTS, Claims, Ours, Theirs, Undecided
from agb_operator.control.store import Store
from agb_operator.model.resource import AgbSession
from unit.builders import SEEN, claiming, store_of


def claims_of(*sessions: AgbSession) -> Claims:
    return Claims(store=store_of(*sessions))


def test_a_session_with_one_resource_is_its_own() -> None:
    session = claiming("a")

    assert claims_of(session).judge(session) == Ours()


def test_the_older_resource_manages_the_session_across_namespaces() -> None:
    old, young = claiming("z", namespace="other", age=60), claiming("a")
    claims = claims_of(old, young)
    claims.note(old, sees=True)

    assert claims.judge(young) == Theirs("other/z")
    assert claims.judge(old) == Ours()


def test_of_two_made_in_the_same_second_the_smaller_uid_manages() -> None:
    one, other = claiming("b", uid="1"), claiming("a", uid="2")
    claims = claims_of(one, other)
    claims.note(one, sees=True)

    assert claims.judge(other) == Theirs("ml/b")
    assert claims.judge(one) == Ours()


def test_of_several_older_ones_the_oldest_is_named() -> None:
    oldest, middle, young = claiming("z", age=60), claiming("a", age=30), claiming("m")
    claims = claims_of(oldest, middle, young)
    for session in (oldest, middle):
        claims.note(session, sees=True)

    assert claims.judge(young) == Theirs("ml/z")
    assert claims.judge(middle) == Theirs("ml/z")


def test_a_resource_whose_key_does_not_see_the_session_blocks_nobody() -> None:
    stranger, owner = claiming("stranger", namespace="other", age=60), claiming("owner")
    claims = claims_of(stranger, owner)
    claims.note(stranger, sees=False)

    assert claims.judge(owner) == Ours()


def test_whether_an_older_resource_sees_the_session_is_open_until_it_has_looked() -> None:
    old, young = claiming("old", age=60), claiming("young")
    claims = claims_of(old, young)

    assert claims.judge(young) == Undecided()


def test_an_older_resource_that_saw_the_session_before_a_restart_counts_at_once() -> None:
    old, young = claiming("old", age=60, status=SEEN), claiming("young")

    assert claims_of(old, young).judge(young) == Theirs("ml/old")


def test_resources_that_only_observe_neither_block_nor_are_blocked() -> None:
    watcher, manager = claiming("watcher", age=60, observe_only=True), claiming("manager", age=30)
    young = claiming("young", observe_only=True)
    claims = claims_of(watcher, manager, young)
    claims.note(watcher, sees=True)
    claims.note(manager, sees=True)

    assert claims.judge(manager) == Ours()
    assert claims.judge(young) == Ours()


def test_a_claim_that_cannot_be_used_blocks_nobody() -> None:
    unusable, young = claiming("unusable", age=60, problem="spec.timeout is wrong"), claiming("young")
    claims = claims_of(unusable, young)
    claims.note(unusable, sees=True)

    assert claims.judge(young) == Ours()


def test_the_next_one_manages_once_the_winner_is_gone() -> None:
    old, young = claiming("old", age=60), claiming("young")
    claims = claims_of(old, young)
    claims.note(old, sees=True)
    claims.store.remove(old.key, old.uid)

    assert claims.judge(young) == Ours()


def test_what_a_resource_sees_is_forgotten_with_it() -> None:
    old, young = claiming("old", age=60), claiming("young")
    claims = claims_of(old, young)
    claims.note(old, sees=False)
    claims.store.put(replace(old, uid="uid-0"))

    assert claims.judge(young) == Undecided()


def test_what_nobody_knows_sees_nothing() -> None:
    old, young = claiming("old", age=60), claiming("young")
    claims = Claims(store=Store())
    claims.note(old, sees=False)
    claims.store.put(old)
    claims.store.put(young)

    assert claims.judge(young) == Undecided()


def test_a_resource_that_cannot_look_blocks_nobody_for_ever() -> None:
    old, young = claiming("old", age=60), claiming("young")
    claims = claims_of(old, young)

    judgements = [claims.judge(young) for _ in range(UNDECIDED_JUDGEMENTS + 1)]

    assert judgements == [Undecided()] * UNDECIDED_JUDGEMENTS + [Ours()]


def test_who_sees_the_session_again_while_others_claim_it_has_to_look_again_first() -> None:
    old, young = claiming("old", age=60), claiming("young")
    claims = claims_of(old, young)
    claims.note(old, sees=False)

    assert claims.note(old, sees=True)
    assert not claims.note(old, sees=True)
