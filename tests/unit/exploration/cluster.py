"""An API server in memory: versions, conflicts, finalizers, and a log of events that watches read at their own pace."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from tests.unit.exploration.calls import Call

from makini_operator.kube.api import CONNECTIONS, EVENTS, POOLS, Object, Resource
from makini_operator.kube.errors import AlreadyExists, Conflict, NotFound, ReplyLost, Unavailable

Key = tuple[str, str, str]


class Cluster:
    """All objects. `on_write(before, after)` is called after each write of a connection or pool."""

    def __init__(self) -> None:
        self.objects: dict[Key, Object] = {}
        self.log: list[tuple[str, Object, bool]] = []
        self.version = 0
        self.on_write: Callable[[Object | None, Object | None], None] = lambda _, __: None

    def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        found = self.objects.get((resource.plural, namespace or "", name))
        if found is None:
            raise NotFound(f"{resource.plural} {name}")
        return copy.deepcopy(found)

    def all(self, resource: Resource) -> list[Object]:
        return [copy.deepcopy(o) for (plural, _, _), o in sorted(self.objects.items()) if plural == resource.plural]

    def create(self, resource: Resource, namespace: str | None, manifest: Object) -> Object:
        key = (resource.plural, namespace or "", manifest["metadata"]["name"])
        if key in self.objects:
            raise AlreadyExists(f"{key} exists")
        made = copy.deepcopy(manifest)
        made["metadata"].setdefault("uid", f"{key[2]}-{self.version + 1}")
        made["metadata"] |= {"generation": 1, "creationTimestamp": "2025-03-01T12:00:00Z"}
        return self._store(key, made)

    def patch(
        self, resource: Resource, namespace: str | None, name: str, changes: Object, *, uid: str, version: str
    ) -> Object:
        found = self.get(resource, namespace, name)
        self.check(found, uid, version)
        return self._store((resource.plural, namespace or "", name), merged(found, changes))

    def check(self, found: Object, uid: str, version: str) -> None:
        """Optimistic concurrency; a mutant replaces this."""
        if (found["metadata"]["uid"], found["metadata"]["resourceVersion"]) != (uid, version):
            raise Conflict(f"{found['metadata']['name']} has changed")

    def replace(self, resource: Resource, namespace: str | None, manifest: Object) -> Object:
        meta = manifest["metadata"]
        found = self.get(resource, namespace, meta["name"])
        self.check(found, meta.get("uid", ""), meta.get("resourceVersion", ""))
        return self._store((resource.plural, namespace or "", meta["name"]), copy.deepcopy(manifest))

    def delete(self, resource: Resource, namespace: str | None, name: str) -> None:
        key = (resource.plural, namespace or "", name)
        found = self.objects.get(key)
        if found is not None:
            deleted = copy.deepcopy(found)
            deleted["metadata"]["deletionTimestamp"] = "2025-03-01T12:00:00Z"
            self._store(key, deleted)

    def edit(self, resource: Resource, namespace: str | None, name: str, spec: Object) -> None:
        """A user changes the spec."""
        found = self.get(resource, namespace, name)
        found["spec"] |= spec
        found["metadata"]["generation"] += 1
        self._store((resource.plural, namespace or "", name), found)

    def _store(self, key: Key, obj: Object) -> Object:
        before = self.objects.get(key)
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        meta = obj["metadata"]
        is_gone = bool(meta.get("deletionTimestamp")) and not meta.get("finalizers")
        if is_gone:
            self.objects.pop(key, None)
        else:
            self.objects[key] = obj
        if key[0] in (CONNECTIONS.plural, POOLS.plural):
            self.log.append((key[0], copy.deepcopy(obj), is_gone))
            self.on_write(before, None if is_gone else obj)
        return copy.deepcopy(obj)


def merged(obj: Object, changes: Object) -> Object:
    """RFC 7396."""
    result = dict(obj)
    for key, value in changes.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            before = result.get(key)
            result[key] = merged(before if isinstance(before, dict) else {}, value)
        else:
            result[key] = value
    return result


class Client:
    """What a process calls instead of `KubeApi`: calls about the two resources wait, the others happen at once."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        return await self._call(resource, f"get {name}", lambda: self._cluster.get(resource, namespace, name))

    async def list_all(
        self, resource: Resource, _namespace: str | None = None, *, selector: str | None = None
    ) -> list[Object]:
        if selector is not None:
            return []
        return await self._call(resource, "list", lambda: self._cluster.all(resource))  # type: ignore[no-any-return]

    async def list_through(
        self, resource: Resource, take: Callable[[Object], Any], *, selector: str | None = None
    ) -> list[Any]:
        return [take(obj) for obj in await self.list_all(resource, selector=selector)]

    async def create(
        self, resource: Resource, namespace: str | None, manifest: Object, *, dry_run: bool = False
    ) -> Object:
        if resource == EVENTS or dry_run:
            return manifest
        return self._cluster.create(resource, namespace, manifest)

    async def replace(
        self, resource: Resource, namespace: str | None, manifest: Object, *, dry_run: bool = False
    ) -> Object:
        return manifest if dry_run else self._cluster.replace(resource, namespace, manifest)

    async def patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        changes: Object,
        *,
        uid: str,
        version: str,
        subresource: str | None = None,
    ) -> Object:
        def write() -> Object:
            return self._cluster.patch(resource, namespace, name, changes, uid=uid, version=version)

        part = ",".join(changes.get(subresource or "metadata", {}))
        return await self._call(resource, f"patch {name} {part}", write, is_write=True)

    async def delete(
        self, resource: Resource, namespace: str | None, name: str, *, uid: str, grace: int | None = None
    ) -> None:
        del uid, grace
        self._cluster.delete(resource, namespace, name)

    async def _call(self, resource: Resource, what: str, perform: Callable[[], Any], *, is_write: bool = False) -> Any:
        if resource not in (CONNECTIONS, POOLS):
            return perform()
        lost = ReplyLost if is_write else Unavailable
        return await Call(what, perform, lambda: lost(f"{what}: no answer"), is_write)
