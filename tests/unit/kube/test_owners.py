"""Objects by the uid of who controls them: the index says what the store says, whatever happens."""

from collections import defaultdict
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from makini_operator.kube.owners import OwnerIndex
from makini_operator.kube.store import ObjectStore
from makini_operator.resources.base import ObjectMeta


@dataclass(frozen=True)
class Child:
    metadata: ObjectMeta
    owner_uid: str


def child(uid: str, owner: str, version: int = 1) -> Child:
    return Child(ObjectMeta(name=f"name-of-{uid}", namespace="tenant", uid=uid, resource_version=str(version)), owner)


def made() -> tuple[ObjectStore[Child], OwnerIndex[Child]]:
    store: ObjectStore[Child] = ObjectStore()
    return store, OwnerIndex(store)


def uids(index: OwnerIndex[Child], owner: str) -> set[str]:
    return {found.metadata.uid for found in index.of(owner)}


def test_children_are_found_by_their_owner_s_uid() -> None:
    store, index = made()
    for uid, owner in (("c1", "acme"), ("c2", "acme"), ("c3", "other")):
        store.put(child(uid, owner))
    assert (uids(index, "acme"), uids(index, "other")) == ({"c1", "c2"}, {"c3"})


def test_nobody_s_children_are_none() -> None:
    _, index = made()
    assert index.of("acme") == []


def test_the_newest_version_is_the_one_that_is_found() -> None:
    store, index = made()
    store.put(child("c1", "acme", 1))
    store.put(child("c1", "acme", 2))
    assert [found.metadata.resource_version for found in index.of("acme")] == ["2"]


def test_a_child_that_changes_hands_is_found_at_its_new_owner_only() -> None:
    store, index = made()
    store.put(child("c1", "acme", 1))
    store.put(child("c1", "other", 2))
    assert (uids(index, "acme"), uids(index, "other")) == (set(), {"c1"})


def test_a_child_that_is_gone_is_not_found() -> None:
    store, index = made()
    store.put(child("c1", "acme"))
    store.remove("c1")
    assert index.of("acme") == []


def test_what_was_found_can_be_walked_while_children_go() -> None:
    store, index = made()
    store.put(child("c1", "acme"))
    store.put(child("c2", "acme"))
    for found in index.of("acme"):
        store.remove(found.metadata.uid)
    assert index.of("acme") == []


@given(st.lists(st.tuples(st.sampled_from(["c1", "c2", "c3"]), st.sampled_from(["", "acme", "other", None]))))
def test_the_index_always_says_what_the_store_says(steps: list[tuple[str, str | None]]) -> None:
    store, index = made()
    for version, (uid, owner) in enumerate(steps, 1):
        if owner is None:
            store.remove(uid, version=str(version))
        else:
            store.put(child(uid, owner, version))
    truth: dict[str, set[str]] = defaultdict(set)
    for found in store:
        truth[found.owner_uid].add(found.metadata.uid)
    assert {owner: uids(index, owner) for owner in ("", "acme", "other") if index.of(owner)} == truth
