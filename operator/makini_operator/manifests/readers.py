"""Readers: a Role that gets exactly one Secret, and a RoleBinding for exactly the ServiceAccounts of the spec."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from makini_operator.lifecycle.observation import ReadersView
from makini_operator.manifests.ownership import Manifest, child_name, controller_of, own_labels, owner_reference
from makini_operator.resources.base import ObjectMeta
from makini_operator.resources.connection import MakiniConnection

_API = "rbac.authorization.k8s.io"


@dataclass(frozen=True)
class GrantRecord:
    """What the operator remembers of a Role or RoleBinding."""

    metadata: ObjectMeta
    owner_uid: str
    owner: str
    content: tuple[Any, Any, Any]
    """Rules, subjects and roleRef, as they are stored."""


def readers_name(connection: MakiniConnection) -> str:
    """Name of the Role and of the RoleBinding: no other connection's bear it."""
    return child_name(connection, "Role", "readers")


def role(connection: MakiniConnection) -> Manifest:
    """The right to get exactly the token's Secret."""
    rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": [connection.secret_name]}
    return _child(connection, "Role") | {"rules": [rule]}


def role_binding(connection: MakiniConnection) -> Manifest:
    """Who has it."""
    namespace = connection.metadata.namespace
    return _child(connection, "RoleBinding") | {
        "roleRef": {"apiGroup": _API, "kind": "Role", "name": readers_name(connection)},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace} for name in wanted(connection)],
    }


def wanted(connection: MakiniConnection) -> list[str]:
    """ServiceAccounts that the spec names."""
    readers = (connection.spec.token.readers if connection.spec.token else None) or []
    return sorted(reader.service_account_name for reader in readers)


def record(manifest: Manifest) -> GrantRecord:
    """What is remembered of a Role or RoleBinding as the API server returns it."""
    controller = controller_of(manifest)
    return GrantRecord(
        metadata=ObjectMeta.model_validate(manifest["metadata"]),
        owner_uid=str(controller.get("uid", "")),
        owner=f"{controller['kind']} {controller['name']}" if controller else "somebody else",
        content=_content(manifest),
    )


def is_ours(found: GrantRecord, connection: MakiniConnection) -> bool:
    """By the name, which ends in the hash of the connection's uid, and by the controller."""
    return found.owner_uid == connection.metadata.uid and found.metadata.name == readers_name(connection)


def names(found: GrantRecord, secret: str) -> bool:
    """Whether this Role is about this Secret."""
    return any(secret in (rule.get("resourceNames") or [secret]) for rule in found.content[0] or [])


def view(roles: list[GrantRecord], bindings: list[GrantRecord], connection: MakiniConnection) -> ReadersView:
    """How the rights of readers stand; all of these are this connection's own."""
    there = bool(roles or bindings)
    if not wanted(connection):
        return ReadersView(are_as_wanted=not there, is_anything_there=there)
    labels = own_labels(connection)
    pairs = ((roles, role(connection)), (bindings, role_binding(connection)))
    are_right = all(
        len(found) == 1
        and found[0].content == _content(manifest)
        and labels.items() <= found[0].metadata.labels.items()
        for found, manifest in pairs
    )
    return ReadersView(are_as_wanted=are_right, is_anything_there=there)


def _child(connection: MakiniConnection, kind: str) -> Manifest:
    return {
        "apiVersion": f"{_API}/v1",
        "kind": kind,
        "metadata": {
            "name": readers_name(connection),
            "namespace": connection.metadata.namespace,
            "labels": own_labels(connection),
            "ownerReferences": [owner_reference(connection)],
        },
    }


def _content(manifest: Manifest) -> tuple[Any, Any, Any]:
    return manifest.get("rules"), manifest.get("subjects"), manifest.get("roleRef")
