"""The token's Secret: what it holds, and how the operator knows it again.

The token and the proof that it is unchanged: `published.py`. Whose a Secret is: `ownership.py`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass

from makini_operator.lifecycle.marker import InstallationKey
from makini_operator.lifecycle.observation import SecretState, SecretView
from makini_operator.manifests.ownership import (
    MANAGED_BY,
    MANAGER,
    Manifest,
    controller_of,
    onto,
    own_labels,
    owner_in_words,
    owner_reference,
)
from makini_operator.manifests.published import ATTEMPT, PREVIOUS_EXPIRES_AT, PublishedToken, intact_token, proof_of
from makini_operator.resources.base import GROUP, ObjectMeta
from makini_operator.resources.connection import MakiniConnection

TEMPLATE_KEYS = f"{GROUP}/template-keys"
"""Annotation: which labels and annotations came from the template, so that they go when the template drops them."""


@dataclass(frozen=True)
class SecretRecord:
    """What the operator remembers of a Secret: everything but its content."""

    metadata: ObjectMeta
    owner_uid: str
    owner: str
    published: PublishedToken | None
    """The published token with its characters blanked; None unless it is exactly as the operator wrote it."""
    keys: frozenset[str]

    @property
    def has_our_label(self) -> bool:
        """Whether it says that the operator manages it; anybody can write that."""
        return self.metadata.labels.get(MANAGED_BY) == MANAGER


def secret(connection: MakiniConnection, published: PublishedToken, key: InstallationKey) -> Manifest:
    """The Secret that publishes this token for this connection."""
    labels, annotations = _wanted_metadata(connection)
    proof = proof_of(published, connection.metadata.uid, key)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {
            "name": connection.secret_name,
            "namespace": connection.metadata.namespace,
            "labels": labels,
            "annotations": annotations | proof,
            "ownerReferences": [owner_reference(connection)],
        },
        "data": {name: base64.b64encode(value.encode()).decode() for name, value in published.values().items()},
    }


def repaired(actual: Manifest, wanted: Manifest) -> Manifest:
    """`wanted` on top of this version of `actual`: what an older template or token added goes, too."""
    before = _template_keys(actual["metadata"].get("annotations"))
    former = before - _template_keys(wanted["metadata"]["annotations"])
    return onto(actual, wanted, dropped=frozenset(former | {ATTEMPT, PREVIOUS_EXPIRES_AT}))


def record(manifest: Manifest, key: InstallationKey) -> SecretRecord:
    """What may be remembered of a Secret as the API server returns it."""
    metadata = ObjectMeta.model_validate(manifest["metadata"])
    controller = controller_of(manifest)
    owner_uid = str(controller.get("uid", ""))
    published = intact_token(manifest, owner_uid, key)
    return SecretRecord(
        metadata=metadata,
        owner_uid=owner_uid,
        owner=owner_in_words(manifest),
        published=published and published.blank(),
        keys=frozenset(manifest.get("data") or {}),
    )


def is_ours(found: SecretRecord, connection: MakiniConnection) -> bool:
    """Whether this Secret is the operator's and belongs to this connection."""
    return found.owner_uid == connection.metadata.uid and (found.has_our_label or found.published is not None)


def view(found: SecretRecord | None, connection: MakiniConnection, *, url: str) -> SecretView:
    """How this Secret stands for this connection, whose token is good for `url`."""
    if found is None:
        return SecretView(SecretState.ABSENT)
    if not is_ours(found, connection):
        return SecretView(SecretState.FOREIGN, owner=found.owner)
    published = found.published
    if published is None or published.connection_id != connection.status.connection_id:
        return SecretView(SecretState.TOKEN_LOST)
    state = SecretState.INTACT if _is_as_wanted(found, published, connection, url) else SecretState.ALTERED
    return SecretView(
        state,
        issued_at=published.issued_at,
        expires_at=published.expires_at,
        attempt=published.attempt,
        previous_expires_at=published.previous.expires_at if published.previous else None,
    )


def _is_as_wanted(found: SecretRecord, published: PublishedToken, connection: MakiniConnection, url: str) -> bool:
    """Other tools may add labels and annotations, but no data."""
    labels, annotations = _wanted_metadata(connection)
    return (
        found.keys == published.keys()
        and published.url == url
        and labels.items() <= found.metadata.labels.items()
        and annotations.items() <= found.metadata.annotations.items()
    )


def _wanted_metadata(connection: MakiniConnection) -> tuple[dict[str, str], dict[str, str]]:
    template = connection.spec.token.secret_template if connection.spec.token else None
    labels = (template.labels if template else None) or {}
    annotations = (template.annotations if template else None) or {}
    return labels | own_labels(connection), annotations | {TEMPLATE_KEYS: json.dumps(sorted({*labels, *annotations}))}


def _template_keys(annotations: Mapping[str, str] | None) -> set[str]:
    try:
        keys = json.loads((annotations or {}).get(TEMPLATE_KEYS, "[]"))
    except ValueError:
        return set()
    return {key for key in keys if isinstance(key, str)} if isinstance(keys, list) else set()
