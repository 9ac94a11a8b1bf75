"""Whether everything is as the specs say: cheap looks at a world, and what must be true once it rests."""

import base64
import json
from typing import Any

from tests.cluster.fixtures_operator import Manifest, World

_MAKINI = "/apis/makini.io/v1beta1"


class Look:
    """One look at all objects of a world, as administrator, without a process for each."""

    def __init__(self, world: World) -> None:
        self._cluster, at = world.rig.cluster, f"/namespaces/{world.namespace}"
        self.pool = self._read(f"{_MAKINI}/creditpools/{world.pool}")
        everything = self._read(f"{_MAKINI}{at}/makiniconnections")["items"]
        self.connections = {o["metadata"]["name"]: o for o in everything if o["spec"]["poolRef"]["name"] == world.pool}
        secrets = self._read(f"/api/v1{at}/secrets")["items"]
        self.secrets = {o["metadata"]["name"]: o["data"] for o in secrets if "data" in o}
        cron_jobs = self._read(f"/apis/batch/v1{at}/cronjobs")["items"]
        self.cron_jobs = [o for o in cron_jobs if "deletionTimestamp" not in o["metadata"]]

    def _read(self, path: str) -> Any:
        status, text = self._cluster.request("GET", path)
        assert status in (200, 404), text
        return json.loads(text) if status == 200 else None


def is_at_rest(world: World) -> bool:
    """Each wish is fulfilled, or waits for credits that are not there; Kubernetes, Makini and the pool say the same."""
    look = Look(world)
    books = look.pool["status"]["credits"]
    active = {name: o for name, o in look.connections.items() if o["status"].get("phase") == "Active"}
    claims = {o["status"]["connectionID"]: o["status"]["credits"]["amount"] for o in active.values()}
    remote = sorted(row["key"] for row in world.sandbox.connections())
    assert sorted(claims) == remote, f"claimed {sorted(claims)}, at Makini {remote}"
    assert books["held"] == sum(claims.values()), (books, claims)
    for name, obj in look.connections.items():
        _is_at_rest(obj, name in active, books["available"])
        _has_what_it_should(world, look, obj, is_active=name in active)
    return True


def _is_at_rest(obj: Manifest, is_active: bool, available: int) -> None:
    name, status = obj["metadata"]["name"], obj["status"]
    assert "deletionTimestamp" not in obj["metadata"], f"{name} is not gone yet"
    assert status["observedGeneration"] == obj["metadata"]["generation"], name
    assert not [c for c in status["conditions"] if c["type"] == "Stalled" and c["status"] == "True"], name
    if not obj["spec"].get("connected", True):
        assert (status["phase"], status.get("credits")) == ("Disconnected", None), name
    elif not is_active:
        assert status["phase"] == "Waiting", (name, status["phase"])
        assert status["waiting"]["need"] > available, f"{name} waits, and {available} are available"


def _has_what_it_should(world: World, look: Look, obj: Manifest, *, is_active: bool) -> None:
    meta = obj["metadata"]
    secret = look.secrets.get(f"{meta['name']}-makini")
    assert (secret is not None) == is_active, f"Secret of {meta['name']}"
    jobs = [o for o in look.cron_jobs if o["metadata"]["ownerReferences"][0]["uid"] == meta["uid"]]
    assert len(jobs) == (len(obj["spec"].get("workflows", [])) if is_active else 0), f"CronJobs of {meta['name']}"
    if secret:
        values = {key: base64.b64decode(value).decode() for key, value in secret.items()}
        assert values["connection-id"] == obj["status"]["connectionID"], meta["name"]
        assert world.sandbox.accepts(values["token"]), f"the token of {meta['name']}"
