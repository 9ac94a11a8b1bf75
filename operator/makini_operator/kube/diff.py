"""The smallest merge patch between two statuses: what does not change is not sent, and no change means no write."""

from __future__ import annotations

from typing import Any

from makini_operator.resources.base import Model


def status_changes(old: Model, new: Model) -> dict[str, Any]:
    """The merge patch that turns `old` into `new`; empty when they are equal."""
    return {} if old == new else merge_patch(old.dump(), new.dump())


def merge_patch(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """RFC 7396: changed fields, and null for those that are gone; lists are replaced whole."""
    patch: dict[str, Any] = dict.fromkeys(old.keys() - new.keys())
    for key, value in new.items():
        before = old.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            inner = merge_patch(before, value)
            if inner:
                patch[key] = inner
        elif key not in old or value != before:
            patch[key] = value
    return patch
