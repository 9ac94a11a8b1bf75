"""What all children of a connection have in common: names, labels, owner, and proof that we made them.

A child is ours when its controller is this connection (by uid) and, beyond that, it carries
our label, a checksum that only we can make, or a name that ends in the hash of this uid. So a
connection that is created again never meets the children of its predecessor.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from makini_operator.resources.base import API_VERSION, GROUP
from makini_operator.resources.connection import MakiniConnection

Manifest = dict[str, Any]

MANAGED_BY = f"{GROUP}/managed-by"
MANAGER = "operator"
MANAGED_SELECTOR = f"{MANAGED_BY}={MANAGER}"
CONNECTION = f"{GROUP}/connection"
CHECKSUM = f"{GROUP}/checksum"
NAME_LIMIT = 52
"""Kubernetes appends up to 11 characters to a CronJob's name."""
_HASH_LENGTH = 10


def own_labels(connection: MakiniConnection) -> dict[str, str]:
    """The labels of every object that the operator manages for this connection."""
    return {MANAGED_BY: MANAGER, CONNECTION: connection.metadata.name}


def own_selector(connection: MakiniConnection) -> str:
    """Label selector that finds this connection's children, and perhaps those of a predecessor of its name."""
    return ",".join(f"{key}={value}" for key, value in own_labels(connection).items())


def child_name(connection: MakiniConnection, kind: str, name: str) -> str:
    """A name of at most 52 characters that no other connection's child has."""
    identity = f"{connection.metadata.uid}/{kind}/{name}".encode()
    suffix = hashlib.sha256(identity).hexdigest()[:_HASH_LENGTH]
    stem = f"{connection.metadata.name}-{name}".replace(".", "-")[: NAME_LIMIT - _HASH_LENGTH - 1].rstrip("-")
    return f"{stem}-{suffix}"


def owner_reference(connection: MakiniConnection) -> Manifest:
    """The reference that makes Kubernetes remove a child after its connection."""
    return {
        "apiVersion": API_VERSION,
        "kind": "MakiniConnection",
        "name": connection.metadata.name,
        "uid": connection.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }


def onto(actual: Manifest, wanted: Manifest, *, dropped: frozenset[str] = frozenset()) -> Manifest:
    """`wanted` on top of exactly this version of `actual`: what other tools have added to its metadata stays.

    `dropped`: labels and annotations that were wanted before and are not any more.
    """
    before, after = actual["metadata"], wanted["metadata"]
    merged: Manifest = {
        part: {k: v for k, v in (before.get(part) or {}).items() if k not in dropped} | (after.get(part) or {})
        for part in ("labels", "annotations")
    }
    ours = after["ownerReferences"]
    others = [owner for owner in before.get("ownerReferences") or [] if owner["uid"] not in {o["uid"] for o in ours}]
    kept = {k: before[k] for k in ("uid", "resourceVersion", "finalizers") if k in before}
    return wanted | {"metadata": after | merged | kept | {"ownerReferences": [*ours, *others]}}


def controller_of(manifest: Manifest) -> Mapping[str, Any]:
    """The owner reference of the controller; empty if there is none."""
    owners = manifest["metadata"].get("ownerReferences") or []
    return next((owner for owner in owners if owner.get("controller")), {})


def owner_in_words(manifest: Manifest) -> str:
    """Whose it is, for a message about what is not ours."""
    controller = controller_of(manifest)
    return f"{controller['kind']} {controller['name']}" if controller else "somebody else"


def digest(value: object) -> str:
    """A fingerprint of JSON that does not depend on the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
