"""The object store: whatever order things arrive in, the newest version stays."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makini_operator.kube.store import ObjectStore
from makini_operator.resources.base import ObjectMeta

Change = tuple[int | None, int | None]


@dataclass(frozen=True)
class Thing:
    metadata: ObjectMeta


def thing(version: int, *, uid: str = "u1", name: str = "acme") -> Thing:
    return Thing(ObjectMeta(name=name, namespace="tenant", uid=uid, resource_version=str(version)))


def version_of(found: Thing | None) -> int | None:
    return int(found.metadata.resource_version) if found else None


@pytest.fixture
def store() -> ObjectStore[Thing]:
    return ObjectStore()


def heard(store: ObjectStore[Thing]) -> list[Change]:
    changes: list[Change] = []
    store.listen(lambda before, after: changes.append((version_of(before), version_of(after))))
    return changes


def test_each_change_is_told_with_before_and_after(store: ObjectStore[Thing]) -> None:
    changes = heard(store)
    store.put(thing(1))
    store.put(thing(2))
    store.remove("u1")
    assert changes == [(None, 1), (1, 2), (2, None)]


def test_an_object_never_goes_backwards_and_the_newest_is_returned(store: ObjectStore[Thing]) -> None:
    store.put(thing(9))
    changes = heard(store)
    assert version_of(store.put(thing(8))) == 9
    assert version_of(store.put(thing(9))) == 9
    assert version_of(store.get("u1")) == 9
    assert changes == []


def test_versions_are_ordered_as_numbers(store: ObjectStore[Thing]) -> None:
    store.put(thing(9))
    assert version_of(store.put(thing(10))) == 10


def test_a_late_reply_does_not_bring_back_what_was_deleted(store: ObjectStore[Thing]) -> None:
    store.put(thing(1))
    store.remove("u1")
    changes = heard(store)
    store.put(thing(5))
    assert (store.get("u1"), store.named("tenant", "acme"), changes) == (None, None, [])


def test_a_deletion_that_is_heard_of_first_counts(store: ObjectStore[Thing]) -> None:
    changes = heard(store)
    store.remove("u1")
    store.put(thing(1))
    assert (len(store), changes) == (0, [])


def test_what_left_a_selector_can_come_back_newer(store: ObjectStore[Thing]) -> None:
    store.put(thing(1))
    store.remove("u1", version="2")
    store.put(thing(2))
    assert store.get("u1") is None
    store.put(thing(3))
    assert version_of(store.get("u1")) == 3


def test_an_old_deletion_does_not_remove_what_is_newer(store: ObjectStore[Thing]) -> None:
    store.put(thing(5))
    store.remove("u1", version="4")
    assert version_of(store.get("u1")) == 5


def test_a_namesake_shows_that_the_former_bearer_is_gone(store: ObjectStore[Thing]) -> None:
    store.put(thing(1, uid="old"))
    changes = heard(store)
    store.put(thing(4, uid="new"))
    assert store.get("old") is None
    assert changes == [(1, None), (None, 4)]
    store.remove("old")
    assert version_of(store.named("tenant", "acme")) == 4


def test_a_complete_list_removes_what_was_known_before_it_and_is_not_in_it(store: ObjectStore[Thing]) -> None:
    for uid in ("a", "b"):
        store.put(thing(1, uid=uid, name=uid))
    known = store.uids()
    store.put(thing(5, uid="c", name="c"))
    store.replace_all([thing(2, uid="a", name="a")], known_before=known)
    assert sorted(store.uids()) == ["a", "c"]
    assert version_of(store.get("a")) == 2


def test_an_older_list_changes_nothing_that_is_newer(store: ObjectStore[Thing]) -> None:
    store.put(thing(5))
    store.replace_all([thing(3)], known_before=store.uids())
    assert version_of(store.get("u1")) == 5


def test_a_listener_may_change_the_store_while_it_is_walked_through(store: ObjectStore[Thing]) -> None:
    for uid in ("a", "b", "c"):
        store.put(thing(1, uid=uid, name=uid))
    for found in store:
        store.remove(found.metadata.uid)
    assert len(store) == 0


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(1, 20), st.booleans()), max_size=20))
def test_in_any_order_versions_only_grow_and_the_dead_stay_dead(steps: list[tuple[str, int, bool]]) -> None:
    store: ObjectStore[Thing] = ObjectStore()
    changes = heard(store)
    newest: dict[str, int] = {}
    dead: set[str] = set()
    for uid, version, is_deletion in steps:
        if is_deletion:
            store.remove(uid)
            dead.add(uid)
        else:
            store.put(thing(version, uid=uid, name=uid))
            newest[uid] = max(version, newest.get(uid, 0)) if uid not in dead else 0
    assert set(store.uids()) == set(newest) - dead
    assert all(version_of(store.get(uid)) == newest[uid] for uid in store.uids())
    assert all(before is None or after is None or before < after for before, after in changes)


def test_known_is_what_is_at_least_as_new(store: ObjectStore[Thing]) -> None:
    newest = store.put(thing(5))
    assert [store.known("u1", version) for version in ("4", "5", "6")] == [newest, newest, None]
    assert store.known("u2", "1") is None
