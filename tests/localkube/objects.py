"""Reads and writes objects as `kubectl get -o json` and `kubectl apply --server-side` do, without a process for each.

Why: tests look at the same few objects many times a second, and a kubectl costs a hundred times what the request
costs that it makes. Answers and refusals are worded as kubectl words them. What is not known here is kubectl's.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlencode

from tests.localkube.errors import LocalKubeError
from tests.localkube.waiting import wait_until

Manifest = dict[str, Any]
_NOT_FOUND = 404
_BACKGROUND = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
"""What belongs to it goes, too; a Job's pods would stay without being asked for."""
_RBAC = "apis/rbac.authorization.k8s.io/v1"
_ADMISSION = "apis/admissionregistration.k8s.io/v1"
_MAKINI = "apis/makini.io/v1beta1"


class Asked(Protocol):
    """A control plane that answers requests."""

    def request(
        self, method: str, path: str, body: Any = None, *, content_type: str = "application/json"
    ) -> tuple[int, str]:
        """The status and text of one answer."""


@dataclass(frozen=True)
class Resource:
    """A kind, and where its objects are."""

    kind: str
    api: str
    plural: str
    is_namespaced: bool = True

    @property
    def full(self) -> str:
        """Its plural and group, as kubectl also takes it."""
        return f"{self.plural}.{self.api.split('/')[1]}"

    def path(self, namespace: str | None, name: str = "") -> str:
        """Of one object, or without a name of all in the namespace, or of all there are."""
        where = f"/namespaces/{namespace}" if self.is_namespaced and namespace else ""
        return f"/{self.api}{where}/{self.plural}{f'/{name}' if name else ''}"


RESOURCES = [
    Resource("CreditPool", _MAKINI, "creditpools", is_namespaced=False),
    Resource("MakiniConnection", _MAKINI, "makiniconnections"),
    Resource("Namespace", "api/v1", "namespaces", is_namespaced=False),
    Resource("Secret", "api/v1", "secrets"),
    Resource("ConfigMap", "api/v1", "configmaps"),
    Resource("Pod", "api/v1", "pods"),
    Resource("ServiceAccount", "api/v1", "serviceaccounts"),
    Resource("ResourceQuota", "api/v1", "resourcequotas"),
    Resource("Job", "apis/batch/v1", "jobs"),
    Resource("CronJob", "apis/batch/v1", "cronjobs"),
    Resource("Deployment", "apis/apps/v1", "deployments"),
    Resource("StatefulSet", "apis/apps/v1", "statefulsets"),
    Resource("DaemonSet", "apis/apps/v1", "daemonsets"),
    Resource("Lease", "apis/coordination.k8s.io/v1", "leases"),
    Resource("Role", _RBAC, "roles"),
    Resource("RoleBinding", _RBAC, "rolebindings"),
    Resource("ClusterRole", _RBAC, "clusterroles", is_namespaced=False),
    Resource("ClusterRoleBinding", _RBAC, "clusterrolebindings", is_namespaced=False),
    Resource("ValidatingAdmissionPolicy", _ADMISSION, "validatingadmissionpolicies", is_namespaced=False),
    Resource("ValidatingAdmissionPolicyBinding", _ADMISSION, "validatingadmissionpolicybindings", is_namespaced=False),
    Resource("PushSecret", "apis/external-secrets.io/v1alpha1", "pushsecrets"),
]

_SHORT = {"mconn": "makiniconnections", "cpool": "creditpools", "ns": "namespaces"}
_EVENTS = Resource("Event", "apis/events.k8s.io/v1", "events")  # without their group they are those of the core
_NAMED = {name: each for each in RESOURCES for name in (each.plural, each.kind.lower(), each.full)} | {
    _EVENTS.full: _EVENTS
}
_OF_KIND = {(each.api.removeprefix("apis/").removeprefix("api/"), each.kind): each for each in RESOURCES}


def find(name: str) -> Resource | None:
    """The resource that kubectl calls so."""
    return _NAMED.get(_SHORT.get(name, name))


def get(asked: Asked, kinds: str, name: str = "", *options: str) -> Manifest | None:
    """What `kubectl get KINDS NAME OPTIONS -o json` says; None when that is something only kubectl knows.

    Raises:
        LocalKubeError: it was refused, or is not there.
    """
    if name.startswith("-"):
        name, options = "", (name, *options)
    found = [find(kind) for kind in kinds.split(",")]
    where = _where(options)
    if where is None or None in found:
        return None
    namespace, query = where
    answers = [_read(asked, each.path(namespace, name) + query) for each in found if each]
    if None in answers:
        return None
    if name:
        return answers[0]
    return {"apiVersion": "v1", "kind": "List", "items": [item for each in answers if each for item in _items(each)]}


def apply(asked: Asked, manifest: Manifest) -> bool:
    """What `kubectl apply --server-side` does; False, and nothing done, when only kubectl knows that kind.

    Raises:
        LocalKubeError: it was refused.
    """
    resource = _OF_KIND.get((manifest["apiVersion"], manifest["kind"]))
    meta = manifest["metadata"]
    if resource is None or "name" not in meta:
        return False
    path = resource.path(meta.get("namespace", "default"), meta["name"])
    query = "?fieldManager=kubectl&fieldValidation=Strict"
    status, text = asked.request("PATCH", path + query, manifest, content_type="application/apply-patch+yaml")
    return _said(status, text) is not None


def exists(asked: Asked, kind: str, name: str, namespace: str | None = None) -> bool:
    """Whether it is there."""
    return _exists(*asked.request("GET", path_of(kind, name, namespace)))


def patch(asked: Asked, kind: str, name: str, change: Manifest, namespace: str | None = None) -> None:
    """A merge patch.

    Raises:
        LocalKubeError: it was refused, or the object is not there.
    """
    _said(*asked.request("PATCH", path_of(kind, name, namespace), change, content_type="application/merge-patch+json"))


def create_namespace(asked: Asked, name: str) -> None:
    """Make a namespace that is not there yet."""
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    _said(*asked.request("POST", path_of("namespaces"), manifest))


def token_of(asked: Asked, service_account: str, namespace: str, *, hours: int = 24) -> str:
    """A new token of a ServiceAccount."""
    wanted = {"expirationSeconds": hours * 3600}
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": wanted}
    path = path_of("serviceaccounts", f"{service_account}/token", namespace)
    answer = _said(*asked.request("POST", path, body))
    if answer is None:
        raise LocalKubeError(f"no token at {path}")
    return str(answer["status"]["token"])


def delete(asked: Asked, kind: str, name: str, namespace: str | None = None, *, seconds: float = 0) -> None:
    """Delete it, as kubectl does, if it is there, and with `seconds` wait for so long until it is gone.

    Raises:
        LocalKubeError: it was refused.
        AssertionError: it is still there.
    """
    path = path_of(kind, name, namespace)
    if not _exists(*asked.request("DELETE", path, _BACKGROUND)) or not seconds:
        return
    uid = ""

    def is_gone() -> bool:
        nonlocal uid
        status, text = asked.request("GET", path)
        if not _exists(status, text):
            return True
        found = json.loads(text)["metadata"]["uid"]
        uid = uid or found
        return bool(found != uid)

    wait_until(is_gone, seconds, f"{kind} {name} to be gone")


def delete_all(asked: Asked, kind: str, namespace: str, *, seconds: float = 0) -> None:
    """Delete all objects of a kind in a namespace, at once; raises as `delete` does."""
    _said(*asked.request("DELETE", path_of(kind, "", namespace), _BACKGROUND))
    if seconds:
        everything = lambda: (get(asked, kind, "-n", namespace) or {"items": []})["items"]  # noqa: E731
        wait_until(lambda: not everything(), seconds, lambda: [each["metadata"] for each in everything()])


def path_of(kind: str, name: str = "", namespace: str | None = None) -> str:
    """Where it is; the namespace counts for kinds that have one."""
    resource = find(kind)
    if resource is None:
        raise LocalKubeError(f"{kind} is not known to tests/localkube/objects.py: add it there.")
    return resource.path(namespace or "default", name)


def _exists(status: int, text: str) -> bool:
    return status != _NOT_FOUND and _said(status, text) is not None


def _where(options: Sequence[str]) -> tuple[str | None, str] | None:
    """The namespace, None for all, and the query; None altogether for an option that only kubectl has."""
    namespace: str | None = "default"
    query: dict[str, str] = {}
    rest = list(options)
    while rest:
        match rest:
            case ["-n", value, *rest]:
                namespace = value
            case ["-A", *rest]:
                namespace = None
            case ["-l", value, *rest]:
                query["labelSelector"] = value
            case _:
                return None
    return namespace, f"?{urlencode(query)}" if query else ""


def _read(asked: Asked, path: str) -> Manifest | None:
    found = _said(*asked.request("GET", path))
    if found is not None:
        for each in found.get("items", [found]):
            each["metadata"].pop("managedFields", None)
    return found


def _items(listed: Manifest) -> list[Manifest]:
    """The objects of a list, each with the type that the server wrote only once."""
    kind = {"apiVersion": listed["apiVersion"], "kind": listed["kind"].removesuffix("List")}
    return [kind | item for item in listed["items"]]


def _said(status: int, text: str) -> Manifest | None:
    """An answer; None when nothing is served there."""
    try:
        answer: Manifest = json.loads(text)
    except ValueError:
        return None
    if status >= 400:
        reason = f" ({answer['reason']})" if answer.get("reason") else ""
        raise LocalKubeError(f"Error from server{reason}: {answer.get('message')}")
    return answer
