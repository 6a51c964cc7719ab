"""The resources in memory: the newest version wins, and one resource alone manages a session."""

from dataclasses import replace

from agb_operator.control.store import Store
from agb_operator.model.resource import ObjectKey
from unit.builders import ID, NOTHING, SEEN, a_session, before_looking, carried_on, claiming, store_of


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


def test_after_a_list_whose_numbers_went_back_what_the_watch_delivers_counts_by_them() -> None:
    store = Store()
    store.put(a_session(version="1000"))
    store.put(a_session(version="7"), listed=True)

    store.put(a_session(version="8", paused=True))

    known = store.get(a_session().key)
    assert known is not None
    assert known.paused


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

    assert [s.key.name for s in store.naming(ID)] == ["a", "b"]
    assert store.naming("") == []
    assert store.naming("session-2") == []


def test_a_resource_that_takes_another_session_no_longer_speaks_of_the_first() -> None:
    store = store_of(a_session(status=SEEN, version="1"))
    store.put(a_session(status=replace(SEEN, session_id="session-2"), version="2"))

    assert store.naming(ID) == []
    assert [s.key.name for s in store.naming("session-2")] == ["batch-7"]


def test_a_resource_that_is_gone_speaks_of_nothing() -> None:
    session = claiming("a")
    store = store_of(session)
    store.remove(session.key, session.uid)

    assert store.naming(ID) == []


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
    decided = before_looking(unusable, recalled=NOTHING)
    assert decided is not None

    store = store_of(a_session(name="a", uid="a", status=SEEN), carried_on(unusable, decided))

    assert dict(store.stalled()) == {("ml", "InvalidSpec"): 1}
