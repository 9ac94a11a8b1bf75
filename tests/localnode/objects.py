"""What a cluster's installer puts into it, and the API server does not by itself."""

from typing import Any

Manifest = dict[str, Any]
RBAC = "rbac.authorization.k8s.io"
STORAGE_CLASS = "local"


def initial() -> list[tuple[str, Manifest]]:
    """Objects to create in a new cluster, each after the path to create it at."""
    roles, bindings = f"/apis/{RBAC}/v1/clusterroles", f"/apis/{RBAC}/v1/clusterrolebindings"
    return [
        (roles, _dns_role()),
        (bindings, _bound("system:coredns", role="system:coredns", user="system:coredns")),
        (bindings, _bound("kube-apiserver-to-kubelet", role="system:kubelet-api-admin", user="kube-apiserver")),
        ("/apis/storage.k8s.io/v1/storageclasses", _storage_class()),
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
        # The controller manager has this provisioner for tests: a folder of the node for each claim.
        "provisioner": "kubernetes.io/host-path",
        "reclaimPolicy": "Delete",
    }


def _bound(name: str, *, role: str, user: str) -> Manifest:
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": RBAC, "kind": "User", "name": user}],
    }
