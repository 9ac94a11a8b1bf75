"""Names of children: short enough, and never the same for two connections."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.lifecycle.builders import connection

from makini_operator.manifests.ownership import (
    NAME_LIMIT,
    child_name,
    controller_of,
    digest,
    own_labels,
    owner_reference,
)
from makini_operator.resources.connection import MakiniConnection


def of(uid: str, name: str = "acme") -> MakiniConnection:
    base = connection()
    return base.model_copy(update={"metadata": base.metadata.model_copy(update={"uid": uid, "name": name})})


def test_a_name_says_whose_it_is_and_fits() -> None:
    assert child_name(of("u1"), "CronJob", "orders").startswith("acme-orders-")
    long = child_name(of("u1", "a" * 52), "CronJob", "b" * 40)
    assert len(long) == NAME_LIMIT
    assert child_name(of("u1", "a" * 40 + "." + "b" * 11), "CronJob", "x")[:41].count(".") == 0


def test_uid_kind_and_name_each_make_another_name() -> None:
    names = {
        child_name(of(uid, "a" * 52), kind, name) for uid in "12" for kind in ("CronJob", "Role") for name in ("x", "y")
    }
    assert len(names) == 8


def test_the_owner_is_the_controller() -> None:
    reference = owner_reference(of("u1"))
    assert controller_of({"metadata": {"ownerReferences": [{"kind": "Other"}, reference]}}) == reference
    assert controller_of({"metadata": {}}) == {}


def test_a_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert digest({"a": 1, "b": [1, 2]}) == digest({"b": [1, 2], "a": 1})
    assert digest({"b": [1, 2]}) != digest({"b": [2, 1]})


NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,50}[a-z0-9])?", fullmatch=True)
CHILDREN = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?", fullmatch=True)


@given(NAMES, CHILDREN)
def test_any_name_leaves_room_for_what_kubernetes_appends_and_is_a_label(name: str, child: str) -> None:
    made = child_name(of("u1", name), "CronJob", child)
    assert len(made) <= NAME_LIMIT == 63 - 11
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", made)


def test_names_that_look_alike_when_cut_or_joined_are_still_different() -> None:
    pairs = [("a.b", "c"), ("a-b", "c"), ("a", "b-c"), ("a" * 52, "x"), ("a" * 51, "x"), ("a" * 52, "x" * 40)]
    whose = [(of(f"u{number}", name), child) for number, (name, child) in enumerate(pairs * 2)]
    assert len({child_name(owner, "CronJob", child) for owner, child in whose}) == len(whose)


@pytest.mark.parametrize(
    ("owners", "uid"),
    [
        ([{"uid": "x"}, {"uid": "y", "controller": True}], "y"),
        ([{"uid": "x", "controller": False}], None),
        ([{"uid": "x"}], None),
        ([], None),
        (None, None),
    ],
)
def test_an_owner_that_is_not_the_controller_does_not_count(
    owners: list[dict[str, Any]] | None, uid: str | None
) -> None:
    assert controller_of({"metadata": {"ownerReferences": owners}}).get("uid") == uid


def test_a_child_says_whose_it_is_and_who_manages_it() -> None:
    owner = owner_reference(of("u1"))
    assert (owner["apiVersion"], owner["kind"], owner["name"]) == ("makini.io/v1beta1", "MakiniConnection", "acme")
    assert (owner["uid"], owner["controller"]) == ("u1", True)
    assert own_labels(of("u1")) == {"makini.io/managed-by": "operator", "makini.io/connection": "acme"}
