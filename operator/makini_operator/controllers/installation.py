"""The installation: an id and a key that make markers ours, bound to one cluster.

They live in the Secret `makini-installation` in the operator's namespace, made at the first
start; back it up, because without the key no connection at Makini can be recognised. If the
Secret is bound to another cluster (a cluster rebuilt from a backup, or a clone), two
operators would own the same connections: then nothing is changed, and every status says so,
until an admin confirms that this cluster replaces the other (`makini-operator installation`).
"""

from __future__ import annotations

import base64
import binascii
import secrets
import uuid
from dataclasses import dataclass
from typing import Any

from makini_operator.kube.api import NAMESPACES, SECRETS, KubeApi
from makini_operator.kube.errors import AlreadyExists, NotFound
from makini_operator.lifecycle.marker import InstallationKey
from makini_operator.lifecycle.observation import Trouble
from makini_operator.manifests.ownership import MANAGED_BY
from makini_operator.resources.reasons import Reason

SECRET_NAME = "makini-installation"  # noqa: S105 - the name of a Secret
RESTORING = "restoring"
"""Key of the Secret that is there from `installation confirm` until `installation finish`."""
_KEY_BYTES = 32


class InstallationError(Exception):
    """The installation Secret is unreadable; nothing may be done before a person has restored it."""


@dataclass(frozen=True)
class Installation:
    """Who this operator is. `trouble` is set when it may not act in this cluster."""

    id: str
    key: InstallationKey
    trouble: Trouble | None
    is_restoring: bool = False
    """Confirmed after a restore: connections are found again by name too, and none is disconnected as an orphan."""


async def load_installation(api: KubeApi, namespace: str) -> Installation:
    """The installation of this cluster, made if there is none.

    Raises:
        InstallationError: the Secret exists, but is incomplete.
    """
    cluster = (await api.get(NAMESPACES, None, "kube-system"))["metadata"]["uid"]
    try:
        found = await api.get(SECRETS, namespace, SECRET_NAME)
    except NotFound:
        found = await _make(api, namespace, cluster)
    return read_installation(found, namespace, cluster)


async def _make(api: KubeApi, namespace: str, cluster: str) -> dict[str, Any]:
    values = {"id": uuid.uuid4().hex[:12].encode(), "key": secrets.token_bytes(_KEY_BYTES), "cluster": cluster.encode()}
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {"name": SECRET_NAME, "namespace": namespace, "labels": {MANAGED_BY: "installation"}},
        "data": {name: base64.b64encode(value).decode() for name, value in values.items()},
    }
    try:
        return await api.create(SECRETS, namespace, manifest)
    except AlreadyExists:
        return await api.get(SECRETS, namespace, SECRET_NAME)


def read_installation(manifest: dict[str, Any], namespace: str, cluster: str) -> Installation:
    """The installation in its Secret; `cluster` is the uid of this one. Raises `InstallationError`."""
    data = manifest.get("data") or {}
    try:
        values = {name: base64.b64decode(data[name], validate=True) for name in ("id", "key", "cluster")}
    except (KeyError, binascii.Error):
        raise InstallationError(
            f"Secret {namespace}/{SECRET_NAME} must have the keys id, key and cluster: restore it from a backup; "
            f"delete it only if no connection was ever opened, because without its key none can be recognised"
        ) from None
    bound_to = values["cluster"].decode(errors="replace")
    trouble = None if bound_to == cluster else _elsewhere(namespace, bound_to, cluster)
    is_restoring = trouble is None and RESTORING in data
    return Installation(values["id"].decode(errors="replace"), InstallationKey(values["key"]), trouble, is_restoring)


def _elsewhere(namespace: str, bound_to: str, cluster: str) -> Trouble:
    message = (
        f"Secret {namespace}/{SECRET_NAME} belongs to the cluster whose kube-system namespace has uid {bound_to}, "
        f"but this cluster's has {cluster}: nothing is connected or disconnected here, because that cluster's "
        f"connections would be taken for lost. If that cluster is gone for good: makini-operator installation confirm; "
        f"else see docs/restore.md"
    )
    return Trouble(Reason.INSTALLATION_ELSEWHERE, message)
