"""The people whom policies are for: users with the rights that a cluster would give them, and what they try.

Everything is done by impersonation, so each request passes authorization and admission as that user. A user without
a name here has no rights at all.
"""

import json
from http import HTTPStatus
from typing import Any

from tests.cluster.fixtures_operator import Manifest
from tests.harness.rig import OPERATOR_USER, RBAC, Rig
from tests.localkube import objects
from tests.localkube.waiting import wait_until

TENANT = "tenant"
"""May do everything to MakiniConnections, and nothing else."""
EDITOR = "editor"
"""Has the cluster's own role edit in the namespace."""
ADMIN = "namespace-admin"
"""Has the cluster's own role admin in the namespace."""
OWNER = "owner"
"""May do everything to everything in the namespace: `*` in every place of a Role."""
GITOPS = "gitops"
"""Is cluster-admin, as many GitOps controllers are; not in system:masters."""
POOL_ADMIN = "pool-admin"
"""May do everything to CreditPools, and nothing else."""

LOGIN = "login"
"""The Secret that connections refer to unless they say otherwise."""

_GROUPS = {OPERATOR_USER: ("system:serviceaccounts", "system:authenticated")}
_CLUSTER_WIDE = {"-A", "-n", "cpool"}
_ALL = ["*"]


class People:
    """The users of one namespace. `says` is what kubectl says when they are refused; empty when they are not."""

    def __init__(self, rig: Rig, namespace: str) -> None:
        self.rig, self.namespace = rig, namespace
        rig.apply(
            self.role("own-connections", ["makini.io"], ["makiniconnections"], _ALL),
            self.role("own-everything", _ALL, _ALL, _ALL),
            self.binding(TENANT, "Role", "own-connections"),
            self.binding(OWNER, "Role", "own-everything"),
            self.binding(EDITOR, "ClusterRole", "edit"),
            self.binding(ADMIN, "ClusterRole", "admin"),
            _cluster_role("test-pool-admin", ["creditpools"]),
            _cluster_binding(GITOPS, "cluster-admin"),
            _cluster_binding(POOL_ADMIN, "test-pool-admin"),
        )
        for user in (TENANT, EDITOR, ADMIN, OWNER, GITOPS):
            self.until_allowed(user, "create", "makini.io", "makiniconnections")
        self.until_allowed(POOL_ADMIN, "create", "makini.io", "creditpools")
        wait_until(lambda: rig.get("serviceaccount", "default", "-n", namespace), 20, "the default ServiceAccount")

    def says(self, user: str, *arguments: str, manifest: Manifest | None = None) -> str:
        """Do it as `user`. Empty when it was accepted without a warning, else what kubectl wrote."""
        groups = _GROUPS.get(user, ("system:authenticated",))
        return self._try(user, groups, arguments, manifest)

    def operator_says(self, *arguments: str, manifest: Manifest | None = None) -> str:
        """Do it as the operator, as if RBAC let it do everything: what is left is admission."""
        return self._try(OPERATOR_USER, ("system:masters",), arguments, manifest)

    def grant(self, user: str, group: str, resource: str, verb: str, name: str | None = None) -> None:
        """Give one more right in the namespace."""
        title = f"{user}-{verb}-{resource}".replace("/", "-")
        self.rig.apply(
            self.role(title, [group], [resource], [verb], [name] if name else []), self.binding(user, "Role", title)
        )
        self.until_allowed(user, verb, group, resource, name)

    def until_allowed(self, user: str, verb: str, group: str, resource: str, name: str | None = None) -> None:
        """Wait until the authorizer has noticed a right."""
        kind, _, subresource = resource.partition("/")
        asked = {"group": group, "resource": kind, "subresource": subresource, "verb": verb, "name": name or ""}
        attributes = asked | {"namespace": self.namespace}
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": user, "groups": ["system:authenticated"], "resourceAttributes": attributes},
        }

        def is_allowed() -> bool:
            _, text = self.rig.cluster.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", body)
            return bool(json.loads(text)["status"]["allowed"])

        wait_until(is_allowed, 20, f"{user} to have the right to {verb} {resource}")

    def role(
        self, name: str, groups: list[str], resources: list[str], verbs: list[str], names: list[str] | None = None
    ) -> Manifest:
        rule: Manifest = {"apiGroups": groups, "resources": resources, "verbs": verbs}
        meta = {"name": name, "namespace": self.namespace}
        return {
            "apiVersion": RBAC,
            "kind": "Role",
            "metadata": meta,
            "rules": [rule | ({"resourceNames": names} if names else {})],
        }

    def binding(self, user: str, kind: str, role: str) -> Manifest:
        meta = {"name": f"{user}-{role}", "namespace": self.namespace}
        return {"apiVersion": RBAC, "kind": "RoleBinding", "metadata": meta} | _binds(user, kind, role)

    def secret(self, name: str, namespace: str | None = None, **values: str) -> Manifest:
        meta = {"name": name, "namespace": namespace or self.namespace}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": values or {"login": "makini"}}

    def connection(self, name: str, login: str = LOGIN, **spec: Any) -> Manifest:
        base = {
            "poolRef": {"name": "nobodys"},
            "system": {"name": "fiix", "deployment": "Cloud"},
            "environment": "Production",
            "customer": {"name": "Acme"},
            "authorization": {"credentials": {"secretRef": {"name": login}}},
        }
        meta = {"name": name, "namespace": self.namespace}
        return {"apiVersion": "makini.io/v1beta1", "kind": "MakiniConnection", "metadata": meta, "spec": base | spec}

    def child(self, manifest: Manifest, owner: Manifest, *, label: bool = True) -> Manifest:
        """`manifest` as the operator makes it for the connection `owner`."""
        reference = {
            "apiVersion": "makini.io/v1beta1",
            "kind": "MakiniConnection",
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": False,
        }
        labels = {"makini.io/managed-by": "operator", "makini.io/connection": owner["metadata"]["name"]}
        meta = manifest["metadata"] | {"ownerReferences": [reference]} | ({"labels": labels} if label else {})
        return manifest | {"metadata": meta}

    def cronjob(self, name: str, labels: dict[str, str] | None = None) -> Manifest:
        meta = {"name": name, "namespace": self.namespace}
        pod = {"restartPolicy": "Never", "containers": [{"name": "work", "image": "example.com/work:1"}]}
        template = {"metadata": {"labels": labels or {}}, "spec": pod}
        job = {"metadata": {"labels": labels or {}}, "spec": {"template": template}}
        return {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": meta,
            "spec": {"schedule": "* * * * *", "concurrencyPolicy": "Forbid", "jobTemplate": job},
        }

    def job(self, name: str, labels: dict[str, str] | None = None) -> Manifest:
        template = self.cronjob(name, labels)["spec"]["jobTemplate"]
        meta = {"name": name, "namespace": self.namespace}
        return {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": template["spec"]}

    def pod(self, name: str, labels: dict[str, str] | None = None, **spec: Any) -> Manifest:
        container = {"name": "work", "image": "example.com/work:1"} | spec.pop("container", {})
        meta = {"name": name, "namespace": self.namespace, "labels": labels or {}}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": [container]} | spec}

    def get(self, *arguments: str) -> Manifest:
        return self.rig.get(*arguments, "-n", self.namespace)

    def _try(self, user: str, groups: tuple[str, ...], arguments: tuple[str, ...], manifest: Manifest | None) -> str:
        request = self._request(arguments, manifest)
        if request is not None:
            return self._ask((user, *groups), *request)
        identity = [f"--as={user}", *(f"--as-group={group}" for group in groups)]
        where = [] if manifest or not _CLUSTER_WIDE.isdisjoint(arguments) else ["-n", self.namespace]
        file = ["-f", "-"] if manifest else []
        text = json.dumps(manifest) if manifest else None
        done = self.rig.cluster.kubectl(*arguments, *file, *where, *identity, input=text, check=False)
        return done.stderr.strip() or ("" if done.returncode == 0 else f"exit code {done.returncode}")

    def _request(self, arguments: tuple[str, ...], manifest: Manifest | None) -> tuple[str, str, Manifest, str] | None:
        """The one request that kubectl would make for these arguments; None where it does more than that."""
        match arguments:
            case ("create",) if manifest and (kind := objects.find(manifest["kind"].lower())):
                query = "?fieldManager=kubectl-create&fieldValidation=Strict"
                path = kind.path(manifest["metadata"].get("namespace", self.namespace)) + query
                return "POST", path, manifest, "application/json"
            case ("patch", name, title, "--type=merge", "-p", patch, *rest) if kind := objects.find(name):
                if rest not in ([], ["--subresource=status"]):
                    return None
                path = kind.path(self.namespace, f"{title}/status" if rest else title)
                return "PATCH", f"{path}?fieldManager=kubectl-patch", json.loads(patch), "application/merge-patch+json"
        return None

    def _ask(self, who: tuple[str, ...], method: str, path: str, body: Manifest, content_type: str) -> str:
        answer = self.rig.cluster.api.ask(method, path, body, content_type=content_type, impersonated=who)
        said = [f"Warning: {warning}" for warning in answer.warnings]
        if answer.status >= HTTPStatus.BAD_REQUEST:
            status = json.loads(answer.text)
            said.append(f"Error from server ({status.get('reason')}): {status['message']}")
        return "\n".join(said)


def edited(obj: Manifest, **spec: Any) -> Manifest:
    """What `kubectl edit` sends: the whole object as it was read, with a change in it."""
    return obj | {"spec": obj["spec"] | spec}


def _cluster_role(name: str, resources: list[str]) -> Manifest:
    rules = [{"apiGroups": ["makini.io"], "resources": resources, "verbs": _ALL}]
    return {"apiVersion": RBAC, "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules}


def _cluster_binding(user: str, role: str) -> Manifest:
    meta = {"name": f"test-{user}"}
    return {"apiVersion": RBAC, "kind": "ClusterRoleBinding", "metadata": meta} | _binds(user, "ClusterRole", role)


def _binds(user: str, kind: str, role: str) -> Manifest:
    return {
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    }
