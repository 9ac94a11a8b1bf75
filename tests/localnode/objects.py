"""What a cluster's installer puts into it, and the API server does not by itself.

Volumes are folders of the node that are there from the start, of the kind `local`: the
kubelet gives such a folder to a pod's fsGroup, as it does with a disk, and would not with
one of the kind `hostPath`, which is all that the controller manager's own provisioner makes.
"""

from pathlib import Path
from typing import Any

from tests.localnode.layout import Node

Manifest = dict[str, Any]
RBAC = "rbac.authorization.k8s.io"
STORAGE_CLASS = "local"


def initial(node: Node) -> list[tuple[str, Manifest]]:
    """Objects to create in a new cluster, each after the path to create it at. Makes the folders of the volumes."""
    roles, bindings = f"/apis/{RBAC}/v1/clusterroles", f"/apis/{RBAC}/v1/clusterrolebindings"
    return [
        (roles, _dns_role()),
        (bindings, _bound("system:coredns", role="system:coredns", user="system:coredns")),
        (bindings, _bound("kube-apiserver-to-kubelet", role="system:kubelet-api-admin", user="kube-apiserver")),
        ("/apis/storage.k8s.io/v1/storageclasses", _storage_class()),
        *(("/api/v1/persistentvolumes", _volume(node, name, folder)) for name, folder in node.volumes.items()),
    ]


def _dns_role() -> Manifest:
    seen = ["endpoints", "services", "pods", "namespaces"]
    verbs = ["list", "watch"]
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "system:coredns"},
        "rules": [
            {"apiGroups": [""], "resources": seen, "verbs": verbs},
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": verbs},
        ],
    }


def _storage_class() -> Manifest:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": STORAGE_CLASS, "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    }


def _volume(node: Node, name: str, folder: Path) -> Manifest:
    """An empty volume, root's, as a new disk is."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o755)
    hostname = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node.name]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "storageClassName": STORAGE_CLASS,
            "capacity": {"storage": "100Gi"},  # a claim asks for what it likes; nobody measures a folder
            "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
            "persistentVolumeReclaimPolicy": "Retain",  # nobody could delete it before the node does
            "local": {"path": str(folder)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [hostname]}]}},
        },
    }


def _bound(name: str, *, role: str, user: str) -> Manifest:
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": RBAC, "kind": "User", "name": user}],
    }
