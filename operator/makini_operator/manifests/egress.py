"""The NetworkPolicy of a connection's sync pods: they resolve names, reach the spec's networks, and nothing else.

It says nothing of other pods, and is worth what the cluster's network makes of it.
"""

from __future__ import annotations

from typing import Any

from makini_operator.lifecycle.observation import EgressView, RunKind
from makini_operator.manifests import plain
from makini_operator.manifests.cron_job import LABELS
from makini_operator.manifests.ownership import CONNECTION, Manifest, child_name, own_labels, owner_reference
from makini_operator.manifests.plain import PlainRecord
from makini_operator.resources.connection import MakiniConnection

_DNS = 53


def is_wanted(connection: MakiniConnection) -> bool:
    """Whether the spec asks for one."""
    return bool(connection.spec.syncs) and connection.spec.sync_egress is not None


def network_policy(connection: MakiniConnection) -> Manifest:
    """The policy, with every field given."""
    networks = connection.spec.sync_egress or []
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {
            "name": child_name(connection, "NetworkPolicy", "syncs"),
            "namespace": connection.metadata.namespace,
            "labels": own_labels(connection),
            "ownerReferences": [owner_reference(connection)],
        },
        "spec": {
            "podSelector": {
                "matchLabels": {CONNECTION: connection.metadata.name},
                "matchExpressions": [
                    {"key": LABELS[RunKind.SYNC], "operator": "Exists"},
                    {"key": LABELS[RunKind.WORKFLOW], "operator": "DoesNotExist"},
                ],
            },
            "policyTypes": ["Ingress", "Egress"],
            "egress": [
                {"ports": [{"protocol": protocol, "port": _DNS} for protocol in ("UDP", "TCP")]},
                *(_to(network.cidr, network.ports) for network in networks),
            ],
        },
    }


def view(found: list[PlainRecord], connection: MakiniConnection) -> EgressView:
    """How it stands; all of these are this connection's own."""
    if not is_wanted(connection):
        return EgressView(is_as_wanted=not found, is_anything_there=bool(found))
    wanted = network_policy(connection)
    names = [each.metadata.name for each in found]
    is_right = names == [wanted["metadata"]["name"]] and plain.is_as_wanted(found[0], wanted)
    return EgressView(is_as_wanted=is_right, is_anything_there=bool(found))


def _to(cidr: str, ports: list[int] | None) -> Manifest:
    rule: dict[str, Any] = {"to": [{"ipBlock": {"cidr": cidr}}]}
    return rule | ({"ports": [{"protocol": "TCP", "port": port} for port in ports]} if ports else {})
