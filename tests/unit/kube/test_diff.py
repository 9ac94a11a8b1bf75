"""Merge patches: applied to the old they give the new, and they send nothing that did not change."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.lifecycle.builders import CLAIM, TOKEN

from makini_operator.kube.diff import merge_patch, status_changes
from makini_operator.resources.connection_status import MakiniConnectionStatus

VALUES = st.recursive(
    st.integers(0, 3) | st.text("ab", max_size=2) | st.booleans() | st.lists(st.integers(0, 2), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4)


def apply(document: Any, patch: Any) -> Any:
    """RFC 7396, section 2."""
    if not isinstance(patch, dict):
        return patch
    result = dict(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = apply(result.get(key), value)
    return result


@given(DOCUMENTS, DOCUMENTS)
def test_the_patch_applied_to_the_old_gives_the_new(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert apply(old, merge_patch(old, new)) == new


@given(DOCUMENTS)
def test_no_change_is_no_patch(document: dict[str, Any]) -> None:
    assert merge_patch(document, document) == {}


@given(DOCUMENTS, DOCUMENTS)
def test_a_patch_that_is_needed_is_not_empty(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert bool(merge_patch(old, new)) == (old != new)


@pytest.mark.parametrize(
    ("old", "new", "patch"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, {"b": 2}),
        ({"a": 1, "b": 2}, {"a": 1}, {"b": None}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, {"a": {"c": 3}}),
        ({"a": [1, 2]}, {"a": [2]}, {"a": [2]}),
        ({"a": {"b": 1}}, {"a": 1}, {"a": 1}),
        ({"a": {"b": 1}}, {"a": {}}, {"a": {"b": None}}),
    ],
)
def test_only_what_changed_is_sent(old: dict[str, Any], new: dict[str, Any], patch: dict[str, Any]) -> None:
    assert merge_patch(old, new) == patch


def test_a_status_is_patched_in_the_names_of_the_api() -> None:
    old = MakiniConnectionStatus.model_validate({"credits": CLAIM, "connectionID": "c1", "token": TOKEN})
    new = MakiniConnectionStatus.model_validate({"credits": CLAIM, "connectionID": "c2"})
    assert status_changes(old, new) == {"connectionID": "c2", "token": None}
    assert status_changes(old, old.model_copy()) == {}
