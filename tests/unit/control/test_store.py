"""The resources in memory: the newest version wins, and one resource alone manages a session."""

from dataclasses import replace
from typing import Any

from agb_operator.control.store import Store
from agb_operator.model.resource import AgbSession, ObjectKey
from agb_operator.model.status import Phase
from agb_operator.policy.decide import before_looking
from unit.builders import ID, NO_FACTS, a_session, a_status, carried_on, later

SEEN = a_status(session_status="RUNNING", phase=Phase.RUNNING)


def store_of(*sessions: AgbSession) -> Store:
    store = Store()
    for session in sessions:
        store.put(session)
    return store


def claiming(name: str, *, namespace: str = "ml", age: float = 0, **fields: Any) -> AgbSession:
    """Build a resource that adopts session-1, `age` seconds older than NOW."""
    session = a_session(adopted=ID, name=name, namespace=namespace, uid=f"uid-{namespace}-{name}", created=later(-age))
    return replace(session, **fields)


def test_a_resource_is_found_by_its_key() -> None:
    session = a_session()
    store = store_of(session)

    assert store.get(session.key) == session
    assert store.get(ObjectKey("ml", "other")) is None
    assert (len(store), list(store)) == (1, [session])


def test_a_newer_version_takes_the_place_of_an_older_one() -> None:
    old, new = a_session(version="99"), a_session(version="100", generation=2)
    store = store_of(old)

    assert store.put(new) == old
    assert store.get(new.key) == new


def test_an_older_version_that_the_watch_delivers_late_is_ignored() -> None:
    old, new = a_session(version="99"), a_session(version="100")
    store = store_of(new)

    assert store.put(old) == new
    assert store.get(new.key) == new


def test_versions_are_compared_as_numbers_and_not_as_words() -> None:
    store = store_of(a_session(version="999"))
    store.put(a_session(version="1000"))

    known = store.get(a_session().key)
    assert known is not None
    assert known.resource_version == "1000"


def test_versions_that_are_no_numbers_are_taken_as_they_come() -> None:
    store = store_of(a_session(version="b"))
    store.put(a_session(version="a"))

    known = store.get(a_session().key)
    assert known is not None
    assert known.resource_version == "a"


def test_a_resource_made_again_under_the_same_name_takes_over_at_once() -> None:
    store = store_of(a_session(uid="old", version="100"))
    new = a_session(uid="new", version="99")
    store.put(new)

    assert store.get(new.key) == new


def test_the_deletion_of_an_earlier_resource_of_that_name_leaves_the_new_one() -> None:
    new = a_session(uid="new")
    store = store_of(new)

    assert store.remove(new.key, "old") is None
    assert store.get(new.key) == new
    assert store.remove(new.key, "new") == new
    assert (store.get(new.key), len(store)) == (None, 0)


def test_a_resource_that_was_never_known_is_forgotten_in_peace() -> None:
    assert Store().remove(ObjectKey("ml", "batch-7"), "uid-1") is None


# Who speaks of which session


def test_resources_are_found_by_the_session_they_speak_of() -> None:
    store = store_of(claiming("a"), claiming("b"), a_session(name="c", uid="uid-c"))

    assert store.claimants(ID) == [ObjectKey("ml", "a"), ObjectKey("ml", "b")]
    assert store.claimants("") == []
    assert store.claimants("session-2") == []


def test_a_resource_that_takes_another_session_no_longer_speaks_of_the_first() -> None:
    store = store_of(a_session(status=SEEN, version="1"))
    store.put(a_session(status=replace(SEEN, session_id="session-2"), version="2"))

    assert store.claimants(ID) == []
    assert store.claimants("session-2") == [ObjectKey("ml", "batch-7")]


def test_a_resource_that_is_gone_speaks_of_nothing() -> None:
    session = claiming("a")
    store = store_of(session)
    store.remove(session.key, session.uid)

    assert store.claimants(ID) == []


# Who manages a session


def test_a_session_with_one_resource_has_no_rival() -> None:
    session = claiming("a")

    assert store_of(session).rival(session) == ("", True)


def test_the_older_resource_manages_the_session_across_namespaces() -> None:
    old, young = claiming("z", namespace="other", age=60), claiming("a")
    store = store_of(old, young)
    store.note_sight(old.key, sees=True)

    assert store.rival(young) == ("other/z", True)
    assert store.rival(old) == ("", True)


def test_of_two_made_in_the_same_second_the_smaller_uid_manages() -> None:
    one, other = claiming("b", uid="1"), claiming("a", uid="2")
    store = store_of(one, other)
    store.note_sight(one.key, sees=True)

    assert store.rival(other) == ("ml/b", True)
    assert store.rival(one) == ("", True)


def test_of_several_older_ones_the_oldest_is_named() -> None:
    oldest, middle, young = claiming("z", age=60), claiming("a", age=30), claiming("m")
    store = store_of(oldest, middle, young)
    for session in (oldest, middle):
        store.note_sight(session.key, sees=True)

    assert store.rival(young) == ("ml/z", True)
    assert store.rival(middle) == ("ml/z", True)


def test_a_resource_whose_key_does_not_see_the_session_blocks_nobody() -> None:
    stranger, owner = claiming("stranger", namespace="other", age=60), claiming("owner")
    store = store_of(stranger, owner)
    store.note_sight(stranger.key, sees=False)

    assert store.rival(owner) == ("", True)


def test_whether_an_older_resource_sees_the_session_is_open_until_it_has_looked() -> None:
    old, young = claiming("old", age=60), claiming("young")
    store = store_of(old, young)

    assert store.rival(young) == ("ml/old", False)


def test_an_older_resource_that_saw_the_session_before_a_restart_counts_at_once() -> None:
    old, young = claiming("old", age=60, status=SEEN), claiming("young")

    assert store_of(old, young).rival(young) == ("ml/old", True)


def test_resources_that_only_observe_neither_block_nor_are_blocked() -> None:
    watcher, manager = claiming("watcher", age=60, observe_only=True), claiming("manager", age=30)
    young = claiming("young", observe_only=True)
    store = store_of(watcher, manager, young)
    store.note_sight(watcher.key, sees=True)
    store.note_sight(manager.key, sees=True)

    assert store.rival(manager) == ("", True)
    assert store.rival(young) == ("", True)


def test_a_claim_that_cannot_be_used_blocks_nobody() -> None:
    unusable, young = claiming("unusable", age=60, problem="spec.timeout is wrong"), claiming("young")
    store = store_of(unusable, young)
    store.note_sight(unusable.key, sees=True)

    assert store.rival(young) == ("", True)


def test_the_next_one_manages_once_the_winner_is_gone() -> None:
    old, young = claiming("old", age=60), claiming("young")
    store = store_of(old, young)
    store.note_sight(old.key, sees=True)
    store.remove(old.key, old.uid)

    assert store.rival(young) == ("", True)


def test_what_a_resource_sees_is_forgotten_with_it() -> None:
    old, young = claiming("old", age=60), claiming("young")
    store = store_of(old, young)
    store.note_sight(old.key, sees=False)
    store.put(replace(old, uid="uid-0"))

    assert store.rival(young) == ("ml/old", False)


def test_what_nobody_knows_sees_nothing() -> None:
    store = Store()
    store.note_sight(ObjectKey("ml", "old"), sees=False)
    old, young = claiming("old", age=60), claiming("young")
    store.put(old)
    store.put(young)

    assert store.rival(young) == ("ml/old", False)


# Counting


def test_resources_are_counted_by_namespace_and_phase() -> None:
    store = store_of(
        a_session(name="a", uid="a", status=SEEN),
        a_session(name="b", uid="b", status=SEEN),
        a_session(name="c", uid="c", namespace="web"),
    )

    assert dict(store.phases()) == {("ml", "Running"): 2, ("web", "Pending"): 1}


def test_only_resources_that_wait_for_a_person_count_as_stalled() -> None:
    unusable = a_session(name="b", uid="b", timeout="never", held=False)
    decided = before_looking(unusable, facts=NO_FACTS)
    assert decided is not None

    store = store_of(a_session(name="a", uid="a", status=SEEN), carried_on(unusable, decided))

    assert dict(store.stalled()) == {("ml", "InvalidSpec"): 1}
