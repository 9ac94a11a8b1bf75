"""A PushSecret of External Secrets Operator: copies the token's Secret into a store, all its keys as one JSON object.

`deletionPolicy: Delete` has the copy removed with it. External Secrets Operator looks at its source
now and then only, so an annotation that names the token that was published makes it look at once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from makini_operator.lifecycle.observation import SecretView
from makini_operator.manifests.ownership import (
    Manifest,
    child_name,
    controller_of,
    own_labels,
    owner_in_words,
    owner_reference,
)
from makini_operator.resources.base import GROUP
from makini_operator.resources.conditions import timestamp
from makini_operator.resources.connection import MakiniConnection
from makini_operator.resources.token import TokenStore

API_VERSION = "external-secrets.io/v1alpha1"
REFRESH = "1h0m0s"
PUSHED_FOR = f"{GROUP}/pushed-for"
"""Annotation: connection, number of the token, whether a previous one goes with it, and when that was wanted."""
STORE = f"{GROUP}/store"
_SECRET_LIKE = re.compile(r"[A-Za-z0-9_\-+/=]{24,}")
_MESSAGE_LIMIT = 300


@dataclass(frozen=True)
class PushRecord:
    """What a PushSecret says."""

    name: str
    uid: str
    owner_uid: str
    owner: str
    is_deleting: bool
    is_as_wanted: bool
    is_done: bool
    message: str


def push_name(connection: MakiniConnection, store: str) -> str:
    """Name of the PushSecret of the store called `store`."""
    return child_name(connection, "PushSecret", store)


def push_secret(connection: MakiniConnection, store: TokenStore, secret: SecretView, now: datetime) -> Manifest:
    """The PushSecret that copies the Secret, as it is now, into this store."""
    return {
        "apiVersion": API_VERSION,
        "kind": "PushSecret",
        "metadata": {
            "name": push_name(connection, store.name),
            "namespace": connection.metadata.namespace,
            "labels": own_labels(connection) | {STORE: store.name},
            "annotations": {PUSHED_FOR: f"{_state(connection, secret)} {timestamp(now)}"},
            "ownerReferences": [owner_reference(connection)],
        },
        "spec": {
            "refreshInterval": REFRESH,
            "updatePolicy": "Replace",
            "deletionPolicy": "Delete",
            "secretStoreRefs": [store.secret_store_ref.dump()],
            "selector": {"secret": {"name": connection.secret_name}},
            "data": [{"match": {"remoteRef": {"remoteKey": store.remote_key}}}],
        },
    }


def record(
    manifest: Manifest, connection: MakiniConnection, store: TokenStore | None, secret: SecretView, now: datetime
) -> PushRecord:
    """What an existing PushSecret says; `store`: what it should be for, None: it is not wanted."""
    meta = manifest["metadata"]
    ready = _ready(manifest)
    pushed, _, since = str((meta.get("annotations") or {}).get(PUSHED_FOR, "")).partition(" ")
    is_as_wanted = store is not None and (
        _relevant(manifest) == _relevant(push_secret(connection, store, secret, now))
        and pushed == _state(connection, secret)
    )
    refreshed = str((manifest.get("status") or {}).get("refreshTime") or "")
    return PushRecord(
        name=meta["name"],
        uid=meta["uid"],
        owner_uid=str(controller_of(manifest).get("uid", "")),
        owner=owner_in_words(manifest),
        is_deleting="deletionTimestamp" in meta,
        is_as_wanted=is_as_wanted,
        is_done=ready.get("status") == "True" and is_as_wanted and refreshed >= since,
        message=_discreet(str(ready.get("message") or "")) if ready.get("status") == "False" else "",
    )


def _state(connection: MakiniConnection, secret: SecretView) -> str:
    """The published token as far as copies have to follow it; nothing of the token itself."""
    previous = "+previous" if secret.previous_expires_at else ""
    return f"{connection.status.connection_id}/{secret.attempt}{previous}"


def _relevant(manifest: Manifest) -> tuple[object, ...]:
    """What must be as the operator wrote it; other fields have defaults of other versions."""
    spec, labels = manifest.get("spec") or {}, manifest["metadata"].get("labels") or {}
    keys = ("updatePolicy", "deletionPolicy", "selector")
    refs = [(ref.get("kind"), ref.get("name")) for ref in spec.get("secretStoreRefs") or []]
    data = [((d.get("match") or {}).get("remoteRef") or {}).get("remoteKey") for d in spec.get("data") or []]
    return (*(spec.get(key) for key in keys), refs, data, labels.get(STORE))


def _ready(manifest: Manifest) -> Manifest:
    conditions = (manifest.get("status") or {}).get("conditions") or []
    return next((c for c in conditions if c.get("type") == "Ready"), {})


def _discreet(message: str) -> str:
    """Another program's words: whatever could be a token in them is masked."""
    return _SECRET_LIKE.sub("…", message)[:_MESSAGE_LIMIT]
