"""Readers: a Role that gets exactly one Secret, and a RoleBinding for exactly the ServiceAccounts of the spec."""

from __future__ import annotations

from makini_operator.lifecycle.observation import ReadersView
from makini_operator.manifests import plain
from makini_operator.manifests.ownership import Manifest, child_name, own_labels, owner_reference
from makini_operator.manifests.plain import PlainRecord
from makini_operator.resources.connection import MakiniConnection

_API = "rbac.authorization.k8s.io"


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


def names(found: PlainRecord, secret: str) -> bool:
    """Whether this Role is about this Secret."""
    return any(secret in (rule.get("resourceNames") or [secret]) for rule in found.content.get("rules") or [])


def view(roles: list[PlainRecord], bindings: list[PlainRecord], connection: MakiniConnection) -> ReadersView:
    """How the rights of readers stand; all of these are this connection's own."""
    there = bool(roles or bindings)
    if not wanted(connection):
        return ReadersView(are_as_wanted=not there, is_anything_there=there)
    pairs = ((roles, role(connection)), (bindings, role_binding(connection)))
    are_right = all(len(found) == 1 and _is_right(found[0], manifest) for found, manifest in pairs)
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


def _is_right(found: PlainRecord, wanted: Manifest) -> bool:
    return found.metadata.name == wanted["metadata"]["name"] and plain.is_as_wanted(found, wanted)
