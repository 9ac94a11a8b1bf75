"""Children that are stored as they are sent: what is remembered of them is all that they say.

Roles, RoleBindings and NetworkPolicies, every field given, get no defaults from the API server. So they need neither a
checksum nor a dry run: whatever differs is put right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from makini_operator.manifests.ownership import Manifest, controller_of, owner_in_words
from makini_operator.resources.base import ObjectMeta

_NOT_CONTENT = ("apiVersion", "kind", "metadata", "status")


@dataclass(frozen=True)
class PlainRecord:
    """What the operator remembers of such a child."""

    metadata: ObjectMeta
    owner_uid: str
    owner: str
    content: dict[str, Any]
    """Everything but metadata."""


def record(manifest: Manifest) -> PlainRecord:
    """What is remembered of a child as the API server returns it."""
    return PlainRecord(
        metadata=ObjectMeta.model_validate(manifest["metadata"]),
        owner_uid=str(controller_of(manifest).get("uid", "")),
        owner=owner_in_words(manifest),
        content={part: value for part, value in manifest.items() if part not in _NOT_CONTENT},
    )


def is_as_wanted(found: PlainRecord, wanted: Manifest) -> bool:
    """Whether it says exactly what is wanted, under our labels."""
    labels = wanted["metadata"]["labels"]
    return found.content == record(wanted).content and labels.items() <= found.metadata.labels.items()
