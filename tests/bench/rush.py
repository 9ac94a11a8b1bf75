"""Many connections at once onto a pool that has credits for some: time, CPU, memory, writes, and the next grants."""

import asyncio
import time
from collections import Counter
from functools import partial
from typing import Any

from tests.bench import measure
from tests.bench.client import (
    CONNECTIONS,
    EVENTS,
    POOLS,
    SECRETS,
    Client,
    Object,
    Observed,
    by_kind,
    opened,
    path,
    say,
    together,
)
from tests.bench.scene import NAMESPACE, POOL, WITHIN, Scene, connection
from tests.harness.process import Process
from tests.harness.rig import OPERATOR_USER

from makini_operator.resources.connection import CONNECTION_FINALIZER

FLOOR = "floor"
_CHATTER = {"managedFields", "resourceVersion", "uid", "creationTimestamp", "generation"}


def run(scene: Scene, *, connections: int, credits: int, releases: int) -> dict[str, Any]:  # noqa: A002 - as the field
    return asyncio.run(_run(scene, connections, credits, releases))


async def _run(scene: Scene, connections: int, credits: int, releases: int) -> dict[str, Any]:  # noqa: A002
    scene.apply_pool(credits)
    operator = scene.start_operator()
    async with opened(scene.cluster) as admin:
        await _until_led(scene, admin)
        async with Observed(admin, NAMESPACE).watching() as seen:
            start, reads = scene.cluster.audit_position(), _secret_reads(scene)
            settled = await _settle(scene, operator, admin, seen, connections, credits)
            await scene.until_quiet(operator)  # writes that come after the last Ready count
            reads = _secret_reads(scene) - reads
            written = scene.cluster.writes(start, user=OPERATOR_USER)
            writes, waiting = by_kind(written), set(seen.phases("Waiting"))
            for_waiting = sum(1 for write in written if write["objectRef"].get("name") in waiting)
            events = len((await admin.send("GET", path(EVENTS, NAMESPACE)))["items"])
            released = await _release(scene, operator, admin, seen, releases)
        operator.stop()
        floor = await _floor(scene, admin, connections, writes, events)
    total = sum(writes.values())
    seconds, cpu = settled["seconds"], settled["operatorCpuSeconds"]
    return {
        "connections": connections,
        "credits": credits,
        **settled,
        "writes": dict(writes),
        "events": events,
        "writesPerReady": round((total - for_waiting) / credits, 2),
        "writesPerWaiting": round(for_waiting / max(1, connections - credits), 2),
        "secretReadsPerConnection": round(reads / connections, 2),
        "cpuMillisecondsPerConnection": round(1000 * cpu / connections, 2),
        "floor": floor,
        "timesFloor": round(seconds / floor["seconds"], 2),
        "release": released,
    }


async def _until_led(scene: Scene, admin: Client) -> None:
    """Until the pool says Ready, so that its start is not measured."""

    async def is_led() -> bool:
        return _is_ready(await admin.send("GET", f"{POOLS}/{POOL}"))

    await scene.until("leading", is_led)


async def _settle(  # noqa: PLR0917 - one step of _run
    scene: Scene,
    operator: Process,
    admin: Client,
    seen: Observed,
    connections: int,
    credits: int,  # noqa: A002
) -> dict[str, Any]:
    span, makini = measure.CpuSpan(operator.pid), measure.CpuSpan(scene.sandbox.process.pid)
    names = [f"c-{number:05}" for number in range(connections)]
    create = path(CONNECTIONS, NAMESPACE)
    applied = await together("applied", [partial(admin.send, "POST", create, connection(name)) for name in names])

    def is_settled() -> bool:
        active = sum(1 for name in seen.phases("Active") if _is_ready(seen.objects[name]))
        return active == credits and len(seen.phases("Waiting")) == connections - credits

    def state() -> str:
        return f"{len(seen.phases('Active'))} Active, {len(seen.phases('Waiting'))} Waiting"

    await seen.until("settling", is_settled, within=WITHIN, check=scene.check, state=state)
    found = {
        "seconds": round(span.wall(), 2),
        "applySeconds": round(applied, 2),
        "operatorCpuSeconds": round(span.cpu(), 2),
        "sandboxCpuSeconds": round(makini.cpu(), 2),
        "peakMiB": round(measure.peak_mib(operator.pid), 1),
        "load": measure.machine()["load"],
    }
    say(f"settled: {found}")
    return found


async def _release(scene: Scene, operator: Process, admin: Client, seen: Observed, releases: int) -> dict[str, Any]:
    """Delete some that hold credits; the n-th release allows the n-th grant."""
    seen.granted.clear()
    seen.released.clear()
    names = sorted(seen.phases("Active"))[:releases]
    span = measure.CpuSpan(operator.pid)
    started = time.monotonic()
    await together("deleted", [partial(admin.send, "DELETE", path(CONNECTIONS, NAMESPACE, n)) for n in names])
    await seen.until(
        "granting",
        lambda: len(seen.granted) >= releases and len(seen.released) >= releases,
        within=WITHIN,
        check=scene.check,
        state=lambda: f"{len(seen.released)} released, {len(seen.granted)} granted",
    )
    pairs = zip(sorted(seen.released.values()), sorted(seen.granted.values()), strict=False)
    delays = sorted(granted - released for released, granted in pairs)
    found = {
        "releases": releases,
        "delaySecondsMedian": round(delays[len(delays) // 2], 3),
        "delaySeconds95": round(delays[int(len(delays) * 0.95)], 3),
        "delaySecondsLongest": round(delays[-1], 3),
        "firstReleaseSeconds": round(min(seen.released.values()) - started, 2),
        "lastReleaseSeconds": round(max(seen.released.values()) - started, 2),
        "lastGrantSeconds": round(max(seen.granted.values()) - started, 2),
        "operatorCpuSeconds": round(span.cpu(), 2),
    }
    say(f"released: {found}")
    return found


async def _floor(scene: Scene, admin: Client, connections: int, writes: Counter[str], events: int) -> dict[str, Any]:
    """The same writes by a bare client with the operator's own token, of bodies as large as the operator's."""
    active = next(o for o in (await admin.send("GET", path(CONNECTIONS, NAMESPACE)))["items"] if _is_ready(o))
    token_secret = next(
        s for s in (await admin.send("GET", path(SECRETS, NAMESPACE)))["items"] if s["metadata"].get("ownerReferences")
    )
    event = (await admin.send("GET", path(EVENTS, NAMESPACE), limit="1"))["items"][0]
    await admin.send("POST", "/api/v1/namespaces", {"metadata": {"name": FLOOR}})
    names = [f"c-{number:05}" for number in range(connections)]
    create = path(CONNECTIONS, FLOOR)
    applied = await together(
        "floor: applied", [partial(admin.send, "POST", create, connection(n, FLOOR)) for n in names]
    )
    owners = (await admin.send("GET", path(CONNECTIONS, FLOOR)))["items"]
    async with opened(scene.cluster, token=scene.token()) as client:
        work = [
            partial(client.send, "PATCH", path(CONNECTIONS, FLOOR, names[n % connections]), _noted(n))
            for n in range(writes["patch makiniconnections"])
        ]
        work += [
            partial(
                client.send, "PATCH", path(CONNECTIONS, FLOOR, names[n % connections], "status"), _numbered(active, n)
            )
            for n in range(writes["patch makiniconnections/status"])
        ]
        work += [
            partial(client.send, "POST", path(SECRETS, FLOOR), _owned(token_secret, owners[n % connections]))
            for n in range(writes["create secrets"])
        ]
        work += [
            partial(client.send, "PATCH", f"{POOLS}/{POOL}/status", {"status": {"credits": {"held": n}}})
            for n in range(writes["patch creditpools/status"])
        ]
        work += [partial(client.send, "POST", path(EVENTS, FLOOR), _event(event, n)) for n in range(events)]
        wrote = await together("floor: written", work)
    found = {
        "seconds": round(applied + wrote, 2),
        "applySeconds": round(applied, 2),
        "writeSeconds": round(wrote, 2),
        "writes": len(work),
        "load": measure.machine()["load"],
    }
    say(f"floor: {found}")
    return found


def _secret_reads(scene: Scene) -> int:
    """How many single Secrets anybody has read, as the API server counts them."""
    text = scene.cluster.request("GET", "/metrics")[1]
    lines = (line for line in text.splitlines() if line.startswith("apiserver_request_total{"))
    return sum(int(float(line.split()[-1])) for line in lines if 'resource="secrets"' in line and 'verb="GET"' in line)


def _noted(n: int) -> Object:
    return {"metadata": {"finalizers": [CONNECTION_FINALIZER, f"bench.makini.io/{n}"]}}


def _numbered(active: Object, n: int) -> Object:
    return {"status": active["status"] | {"connectionID": f"{n:014}"}}


def _owned(token_secret: Object, owner: Object) -> Object:
    """A Secret as the operator's fence lets it pass: of a connection that is there."""
    copied = _copied(token_secret, f"{owner['metadata']['name']}-makini")
    reference = token_secret["metadata"]["ownerReferences"][0]
    mine = reference | {"name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}
    copied["metadata"]["ownerReferences"] = [mine]
    return copied


def _copied(manifest: Object, name: str) -> Object:
    metadata = {k: v for k, v in manifest["metadata"].items() if k not in _CHATTER | {"ownerReferences"}}
    return manifest | {"metadata": metadata | {"name": name, "namespace": FLOOR}}


def _event(event: Object, n: int) -> Object:
    regarding = event["regarding"] | {"namespace": FLOOR}
    return _copied(event, f"e-{n:06}") | {"regarding": regarding}


def _is_ready(obj: Object) -> bool:
    conditions = obj.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
