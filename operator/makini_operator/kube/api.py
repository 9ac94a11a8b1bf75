"""A small client of the Kubernetes API: plain JSON, typed errors, bounded retries.

Guarantees: reads are retried with jitter within a deadline; a write is retried only when it
certainly had no effect (429), and raises `ReplyLost` when its outcome is unknown. Error
texts never carry the body of a request.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp

from makini_operator.kube import errors
from makini_operator.resources.base import GROUP, VERSION

Object = dict[str, Any]
T = TypeVar("T")

PAGE = 500
TAKEN_AT_ONCE = 50
"""Objects of a page that are taken in before others may run."""
TRIES = 5
FIELD_MANAGER = "makini-operator"
_TIMEOUT = aiohttp.ClientTimeout(total=20, sock_connect=5)


@dataclass(frozen=True)
class Resource:
    """One kind of object, as a path of the API."""

    group: str
    version: str
    plural: str
    is_namespaced: bool = True

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """The URL path, relative to the server."""
        base = f"apis/{self.group}/{self.version}" if self.group else f"api/{self.version}"
        scope = f"/namespaces/{namespace}" if self.is_namespaced and namespace else ""
        rest = "".join(f"/{part}" for part in (name, subresource) if part)
        return f"{base}{scope}/{self.plural}{rest}"


CONNECTIONS = Resource(GROUP, VERSION, "makiniconnections")
POOLS = Resource(GROUP, VERSION, "creditpools", is_namespaced=False)
SECRETS = Resource("", "v1", "secrets")
NAMESPACES = Resource("", "v1", "namespaces", is_namespaced=False)
EVENTS = Resource("events.k8s.io", "v1", "events")
CRON_JOBS = Resource("batch", "v1", "cronjobs")
JOBS = Resource("batch", "v1", "jobs")
PODS = Resource("", "v1", "pods")
NETWORK_POLICIES = Resource("networking.k8s.io", "v1", "networkpolicies")
ROLES = Resource("rbac.authorization.k8s.io", "v1", "roles")
ROLE_BINDINGS = Resource("rbac.authorization.k8s.io", "v1", "rolebindings")
DEPLOYMENTS = Resource("apps", "v1", "deployments")
STATEFUL_SETS = Resource("apps", "v1", "statefulsets")
DAEMON_SETS = Resource("apps", "v1", "daemonsets")
PUSH_SECRETS = Resource("external-secrets.io", "v1alpha1", "pushsecrets")
LEASES = Resource("coordination.k8s.io", "v1", "leases")


class KubeApi:
    """Calls to one API server over one session, which the caller owns."""

    def __init__(
        self, session: aiohttp.ClientSession, *, pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._session = session
        self._pause = pause

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        """Read one object as it stands now. Raises `NotFound`, `Unavailable`, `Forbidden`."""
        return await self._read(resource.path(namespace, name), {})

    async def list_all(
        self, resource: Resource, namespace: str | None = None, *, selector: str | None = None
    ) -> list[Object]:
        """Read all objects consistently, page by page; a list that expires is begun again."""
        return await self._list(resource.path(namespace), lambda obj: obj, resource, selector)

    async def list_through(
        self, resource: Resource, take: Callable[[Object], T], *, selector: str | None = None
    ) -> list[T]:
        """Read all objects of all namespaces so, and keep of each what `take` returns.

        Others run between the pages: ten thousand objects at once would hold up the loop, and the memory, for long.
        A list that is begun again is taken again.
        """
        return await self._list(resource.path(), take, resource, selector)

    async def _list(self, path: str, take: Callable[[Object], T], resource: Resource, selector: str | None) -> list[T]:
        for _ in range(TRIES):
            try:
                return await self._list_once(path, take, selector)
            except errors.Gone:
                continue
        raise errors.Unavailable(f"the list of {resource.plural} expired {TRIES} times while being read")

    async def check_list(self, resource: Resource) -> None:
        """See that objects of this kind exist and may be listed. Raises `NotFound`, `Forbidden`, `Unavailable`."""
        await self._read(resource.path(), {"limit": "1"})

    async def create(
        self, resource: Resource, namespace: str | None, manifest: Object, *, dry_run: bool = False
    ) -> Object:
        """Create an object. Raises `AlreadyExists`, `Invalid`, `Forbidden`, `ReplyLost`.

        `dry_run`: only try it out, with unknown fields as errors; returns what it would become.
        """
        try:
            return await self._write("POST", resource.path(namespace), manifest, dry_run=dry_run)
        except errors.Conflict as error:
            raise errors.AlreadyExists(str(error), status=409) from None

    async def replace(
        self, resource: Resource, namespace: str | None, manifest: Object, *, dry_run: bool = False
    ) -> Object:
        """Write a whole object; its metadata carry the version it was decided on. Raises `Conflict`, `NotFound`, …."""
        path = resource.path(namespace, manifest["metadata"]["name"])
        return await self._write("PUT", path, manifest, dry_run=dry_run)

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
        """Merge `changes` into exactly this version of exactly this object. Raises `Conflict`, `NotFound`, …."""
        guard = {"uid": uid, "resourceVersion": version}
        body = changes | {"metadata": {**changes.get("metadata", {}), **guard}}
        return await self._write("PATCH", resource.path(namespace, name, subresource), body)

    async def delete(
        self, resource: Resource, namespace: str | None, name: str, *, uid: str, grace: int | None = None
    ) -> None:
        """Delete exactly this object, and in the background what it owns; that it is gone already is success.

        `grace`: seconds that a pod's containers get; None: what the pod says.
        """
        options: Object = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        try:
            await self._write("DELETE", resource.path(namespace, name), options)
        except errors.NotFound:
            return

    async def _list_once(self, path: str, take: Callable[[Object], T], selector: str | None) -> list[T]:
        items: list[T] = []
        query = {"limit": str(PAGE)} | ({"labelSelector": selector} if selector else {})
        while True:
            page = await self._read(path, query)
            for number, obj in enumerate(page.get("items") or [], start=1):
                items.append(take(obj))
                if number % TAKEN_AT_ONCE == 0:
                    await asyncio.sleep(0)
            token = page.get("metadata", {}).get("continue")
            if not token:
                return items
            query["continue"] = token

    async def _read(self, path: str, query: Mapping[str, str]) -> Object:
        for attempt in range(TRIES):
            try:
                return await self._call("GET", path, query=query)
            except errors.Unavailable as error:
                if attempt == TRIES - 1:
                    raise
                await self._pause(_delay(attempt, error.retry_after))
        raise AssertionError("unreachable")

    async def _write(self, method: str, path: str, body: Object, *, dry_run: bool = False) -> Object:
        query = {} if method == "DELETE" else {"fieldManager": FIELD_MANAGER}
        if dry_run:
            query |= {"dryRun": "All", "fieldValidation": "Strict"}
        for attempt in range(TRIES):
            try:
                return await self._call(method, path, query=query, body=body)
            except errors.Unavailable as error:
                if error.status != _TOO_MANY or attempt == TRIES - 1:
                    raise errors.ReplyLost(str(error), status=error.status) from None
                await self._pause(_delay(attempt, error.retry_after))
        raise AssertionError("unreachable")

    async def _call(self, method: str, path: str, *, query: Mapping[str, str], body: Object | None = None) -> Object:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        data = None if body is None else json.dumps(body).encode()
        headers = {} if body is None else {"Content-Type": kind}
        try:
            async with self._session.request(
                method, path, params=query, data=data, headers=headers, timeout=_TIMEOUT
            ) as response:
                text = await response.text()
                if response.ok:
                    return json.loads(text)  # type: ignore[no-any-return]
                raise _error(method, path, response.status, text, response.headers.get("Retry-After"))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise errors.Unavailable(f"{method} {path}: no answer ({type(error).__name__})") from None
        except ValueError:
            raise errors.Unavailable(f"{method} {path}: the answer is not JSON") from None


_TOO_MANY = 429
_SERVER_FAULT = 500
_BY_STATUS: dict[int, type[errors.KubeError]] = {
    400: errors.Invalid,
    401: errors.Forbidden,
    403: errors.Forbidden,
    404: errors.NotFound,
    409: errors.Conflict,
    410: errors.Gone,
    413: errors.Invalid,
    422: errors.Invalid,
}


def _error(method: str, path: str, status: int, text: str, retry_after: str | None) -> errors.KubeError:
    said = _reason(text)
    message = f"{method} {path}: HTTP {status}: {said}"
    if status == _TOO_MANY or status >= _SERVER_FAULT:
        seconds = float(retry_after) if retry_after and retry_after.isdigit() else None
        return errors.Unavailable(message, status=status, retry_after=seconds)
    return _BY_STATUS.get(status, errors.KubeError)(message, status=status, said=said)


def _reason(text: str) -> str:
    try:
        status = json.loads(text)
    except ValueError:
        return "no reason given"
    return str(status.get("message") or status.get("reason") or "no reason given")[:400]


def _delay(attempt: int, retry_after: float | None) -> float:
    return min(retry_after or 0.1 * 2**attempt, 5.0) * (0.5 + random.random())  # noqa: S311 - jitter, not a secret
