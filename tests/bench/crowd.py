"""A pool with very many connections: how soon a fresh process grants, how much memory it takes, and how idle it is.

The connections are made as the operator would have left them: one is taken up by the operator itself, and the others
get its status and its Secret with their own name, id and checksum, and their own connection in the sandbox's store.
"""

import asyncio
import base64
import json
import time
from datetime import UTC, datetime
from functools import partial
from typing import Any

from tests.bench import measure
from tests.bench.client import CONNECTIONS, POOLS, SECRETS, Client, Object, by_kind, opened, path, say, together
from tests.bench.scene import NAMESPACE, POOL, QUIET_WINDOW, QUIET_WINDOWS, Scene, connection
from tests.harness.process import Process
from tests.harness.rig import OPERATOR_NAMESPACE, OPERATOR_USER

from makini_operator.controllers.observer import metadata_digest
from makini_operator.lifecycle import marker
from makini_operator.lifecycle.marker import InstallationKey, Marker
from makini_operator.manifests import secret
from makini_operator.manifests.published import PublishedToken
from makini_operator.resources.connection import CONNECTION_FINALIZER, MakiniConnection
from makini_operator.sandbox.context import account_id
from makini_operator.sandbox.store import Store

SPARE = 10
"""Credits that nobody holds, for the new connection."""


def run(scene: Scene, *, connections: int, idle_seconds: float) -> dict[str, Any]:
    return asyncio.run(_run(scene, connections, idle_seconds))


async def _run(scene: Scene, connections: int, idle_seconds: float) -> dict[str, Any]:
    scene.apply_pool(connections + SPARE)
    operator = scene.start_operator()
    async with opened(scene.cluster) as admin:
        template = await _template(scene, admin)
        operator.stop()
        made = await _make(scene, admin, template, connections)
        say(f"made: {connections} connections in {made:.0f} s")
        await admin.send("POST", path(CONNECTIONS, NAMESPACE), connection("newcomer"))
        position = scene.cluster.audit_position()
        started, load = time.monotonic(), measure.machine()["load"]
        operator = scene.start_operator()
        span = measure.CpuSpan(operator.pid)
        granted = await _until_status(scene, admin, "newcomer", "credits", started)
        ready = await _until_status(scene, admin, "newcomer", "connectionID", started)
        await scene.until_quiet(operator)
        quiet = time.monotonic() - started - QUIET_WINDOW * QUIET_WINDOWS
        start_cpu = span.cpu()
        written = by_kind(scene.cluster.writes(position, user=OPERATOR_USER))
        second = time.monotonic()
        await admin.send("POST", path(CONNECTIONS, NAMESPACE), connection("latecomer"))
        later = await _until_status(scene, admin, "latecomer", "credits", second)
        await scene.until_quiet(operator)
        peak = measure.peak_mib(operator.pid)
        idle = await _idle(scene, operator, idle_seconds)
        pool = await admin.send("GET", f"{POOLS}/{POOL}")
    return {
        "connections": connections,
        "load": load,
        "coldStartToGrantSeconds": round(granted, 1),
        "coldStartToOpenSeconds": round(ready, 1),
        "coldStartToQuietSeconds": round(quiet, 1),
        "coldStartCpuSeconds": round(start_cpu, 1),
        "writesAtStart": written,
        "grantWhileRunningSeconds": round(later, 2),
        "peakMiB": round(peak, 1),
        "idle": idle,
        "poolObjectBytes": len(json.dumps(pool, separators=(",", ":"))),
        "held": pool["status"]["credits"]["held"],
    }


async def _template(scene: Scene, admin: Client) -> Object:
    """One connection that the operator itself has made Active."""
    await admin.send("POST", path(CONNECTIONS, NAMESPACE), connection("template"))
    await _until_status(scene, admin, "template", "token", time.monotonic())
    await scene.until("template: Active", partial(_is_active, admin, "template"))
    return await admin.send("GET", path(CONNECTIONS, NAMESPACE, "template"))


async def _make(scene: Scene, admin: Client, template: Object, count: int) -> float:
    stored = await admin.send("GET", path(SECRETS, OPERATOR_NAMESPACE, "makini-installation"))
    key = InstallationKey(base64.b64decode(stored["data"]["key"]))
    store, account = Store(scene.sandbox.state), account_id(scene.sandbox.client_id)
    was = template["status"]
    pattern = json.dumps(was)
    issued, expires = _moment(was["token"]["issuedAt"]), _moment(was["token"]["expiresAt"])

    async def make(client: Client, name: str) -> None:
        manifest = connection(name, finalizers=[CONNECTION_FINALIZER])
        created = MakiniConnection.parse(await admin.send("POST", path(CONNECTIONS, NAMESPACE), manifest))
        meta = created.metadata
        tag = marker.tag(key, namespace=meta.namespace, name=meta.name, uid=meta.uid)
        home = marker.home(key, namespace=meta.namespace, name=meta.name)
        remote = marker.remote_name(key, Marker(tag, 1, home), "Acme")
        email = "it@acme.example"
        number = store.open_connection(account=account, name=remote, email=email, provider="fiix", now=time.time())
        status = json.loads(
            pattern.replace(was["connectionID"], number).replace("template-makini", created.secret_name)
        )
        written = {"status": status | {"metadataDigest": metadata_digest(created)}}
        await client.send("PATCH", path(CONNECTIONS, NAMESPACE, name, "status"), written)
        token = PublishedToken(f"token-{name}", number, scene.sandbox.url, issued, expires)
        await client.send("POST", path(SECRETS, NAMESPACE), secret.secret(created, token, key))

    async with opened(scene.cluster, token=scene.token()) as client:
        names = [f"c-{number:05}" for number in range(count - 1)]
        seconds = await together("made", [partial(make, client, name) for name in names], concurrency=16)
    store.close()
    return seconds


async def _until_status(scene: Scene, admin: Client, name: str, field: str, since: float) -> float:
    """Seconds from `since` until the status of a connection has this field."""

    async def has_it() -> bool:
        return bool((await admin.send("GET", path(CONNECTIONS, NAMESPACE, name))).get("status", {}).get(field))

    await scene.until(f"{name}: {field}", has_it)
    return time.monotonic() - since


async def _is_active(admin: Client, name: str) -> bool:
    obj = await admin.send("GET", path(CONNECTIONS, NAMESPACE, name))
    return obj["status"].get("phase") == "Active" and "intent" not in obj["status"]


async def _idle(scene: Scene, operator: Process, seconds: float) -> dict[str, Any]:
    say(f"idle: {seconds:.0f} s are measured")
    position = scene.cluster.audit_position()
    span = measure.CpuSpan(operator.pid)
    await asyncio.sleep(seconds)
    percent = 100 * span.cpu() / span.wall()
    return {
        "seconds": seconds,
        "cpuPercent": round(percent, 2),
        "residentMiB": round(measure.resident_mib(operator.pid), 1),
        "writes": len(scene.cluster.writes(position, user=OPERATOR_USER)),
    }


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
