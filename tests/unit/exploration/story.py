"""What may happen to one or two processes, a cluster and Makini, and what must hold at every moment and at rest."""

from __future__ import annotations

import base64
from typing import Any

from tests.unit.exploration.calls import Call, Task
from tests.unit.exploration.cluster import Cluster
from tests.unit.exploration.process import KEY, Process
from tests.unit.exploration.vendor import Makini

from makini_operator.kube.api import CONNECTIONS, POOLS, SECRETS, Object
from makini_operator.lifecycle import marker

NAMESPACE = "tenant"
ROUNDS = 60
"""Rounds in which everything must have come to rest."""
QUIET = 4
STEPS = 400


class Story:
    """One pool of one credit that two connections want; with `is_wide`, a second pool and a third connection."""

    def __init__(self, *, is_wide: bool = False) -> None:
        self.cluster, self.makini = Cluster(), Makini()
        self.processes: list[Process] = []
        self.network: list[Call] = []
        self.is_exact = True
        """One process at a time, and no call of an earlier one under way: what is said of Makini holds at once."""
        self.limits = {"main": 1} | ({"second": 1} if is_wide else {})
        self.pools_of = {"a": "main", "b": "main"} | ({"c": "second"} if is_wide else {})
        self.anew: set[str] = set()
        """uids whose claim was granted anew: nothing of theirs was alive at Makini."""
        self.is_lowered = False
        self._is_wiping = False
        for name, limit in self.limits.items():
            self.cluster.create(POOLS, None, _pool(name, limit))
        login = {"metadata": {"name": "login"}, "data": {"user": base64.b64encode(b"u").decode()}}
        self.cluster.create(SECRETS, NAMESPACE, login)
        for name, pool in self.pools_of.items():
            self.cluster.create(CONNECTIONS, NAMESPACE, _connection(name, pool))
        self.cluster.on_write = self._check_write
        self.makini.on_open = self._check_open
        self.start()

    # --- processes -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._forget_ended()
        if len(self.processes) < 2:
            self.is_exact &= not self.processes
            self.processes.append(Process(self.cluster, self.makini))

    def crash(self, which: int) -> None:
        process = self._process(which)
        if process:
            self.is_exact &= all(task.call is None or task.call.what != "open" for task in process.tasks.values())
            process.end()

    def run(self, which: int, steps: int) -> None:
        """It goes on undisturbed."""
        process = self._process(which)
        for _ in range(steps if process else 0):
            assert process is not None
            if process.has_ended or not self._go_on(process):
                return

    def push(self, which: int, steps: int) -> None:
        """It goes on, but its watches stand still."""
        process = self._process(which)
        for _ in range(steps if process else 0):
            assert process is not None
            if process.has_ended or not self._go_on(process, is_blind=True):
                return

    def until(self, which: int, what: str) -> None:
        """It goes on blindly until it is about to make a call with all these parts (between bars)."""
        process = self._process(which)
        for _ in range(STEPS if process else 0):
            assert process is not None
            process.begin()
            if any(t.call and all(part in t.call.what for part in what.split("|")) for t in process.tasks.values()):
                return
            if process.has_ended or not self._go_on(process, is_blind=True):
                return

    def around(self, which: int, what: str, steps: int) -> None:
        """It goes on blindly, but calls that begin so wait."""
        process = self._process(which)
        for _ in range(steps if process else 0):
            assert process is not None
            process.begin()
            tasks = [t for t in process.tasks.values() if t.call and not t.call.what.startswith(what)]
            if process.has_ended or not tasks:
                return
            self._answer_in_turn(process, tasks[0])

    def watch(self, which: int, count: int) -> None:
        process = self._process(which)
        if process:
            process.watch(count)
            process.begin()

    def answer(self, which: int, task: int) -> None:
        self._with_task(which, task, lambda process, t: process.answer(t))

    def perform(self, which: int, task: int) -> None:
        """The effect happens; the answer is on its way."""
        self._with_task(which, task, lambda _, t: t.perform())

    def lose(self, which: int, task: int) -> None:
        """The effect happens; the answer never comes."""

        def lose(process: Process, t: Any) -> None:
            t.perform()
            process.lose(t)

        self._with_task(which, task, lose)

    def drop(self, which: int, task: int) -> None:
        """Neither effect nor answer."""
        self._with_task(which, task, lambda process, t: process.lose(t))

    def turn_away(self, which: int, task: int) -> None:
        """No effect, and an answer that says so."""

        def turn_away(process: Process, t: Any) -> None:
            if t.outcome is None:
                process.turn_away(t)

        self._with_task(which, task, turn_away)

    def delay(self, which: int, task: int) -> None:
        """The caller gives up; the effect may still happen."""

        def delay(process: Process, t: Any) -> None:
            if t.call.is_write and t.outcome is None:
                self.network.append(t.call)
                self.is_exact &= t.call.what != "open"
            process.lose(t)

        self._with_task(which, task, delay)

    def arrive(self) -> None:
        if self.network:
            _perform(self.network.pop(0))

    def relist(self, which: int) -> None:
        process = self._process(which)
        if process:
            for key in list(process.world.accounts):
                process.list_account(key)

    # --- people ----------------------------------------------------------------------------------------------------

    def toggle(self, name: str) -> None:
        found = self.find(name)
        if found and not found["metadata"].get("deletionTimestamp"):
            wanted = found["spec"].get("connected", True)
            self.cluster.edit(CONNECTIONS, NAMESPACE, name, {"connected": not wanted})

    def delete(self, name: str) -> None:
        found = self.find(name)
        if found and not found["metadata"].get("deletionTimestamp"):
            self.cluster.delete(CONNECTIONS, NAMESPACE, name)

    def create(self, name: str) -> None:
        if name in self.pools_of and self.find(name) is None:
            self.cluster.create(CONNECTIONS, NAMESPACE, _connection(name, self.pools_of[name]))

    def lower(self) -> None:
        self.is_lowered = True
        self.cluster.edit(POOLS, None, "main", {"credits": 0})

    def raise_again(self) -> None:
        self.cluster.edit(POOLS, None, "main", {"credits": 1})

    def wipe(self, name: str) -> None:
        """A backup tool restores a resource without its status."""
        found = self.find(name)
        if found and found["metadata"].get("finalizers"):
            meta = found["metadata"]
            blank = dict.fromkeys(found["status"]) | {"observedGeneration": -1}
            self._is_wiping = True
            self.cluster.patch(
                CONNECTIONS, NAMESPACE, name, {"status": blank}, uid=meta["uid"], version=meta["resourceVersion"]
            )
            self._is_wiping = False

    def find(self, name: str) -> Object | None:
        return self.cluster.objects.get((CONNECTIONS.plural, NAMESPACE, name))

    # --- what must hold --------------------------------------------------------------------------------------------

    def _check_write(self, before: Object | None, after: Object | None) -> None:
        obj = after or before
        if obj is None or "poolRef" not in obj["spec"]:
            return
        had, has = _claim(before), _claim(after)
        if has and not had:
            (self.anew.discard if self._alive(obj) else self.anew.add)(obj["metadata"]["uid"])
        self._check_limits()
        if self._is_wiping:
            return
        if had and not has and self.is_exact:
            alive = self._alive(obj)
            assert not alive, f"credits of {obj['metadata']['name']} return while {alive} is alive at Makini"
        if after is None and before is not None and self.is_exact:
            assert not self._alive(before), f"{obj['metadata']['name']} goes while it is alive at Makini"

    def _check_limits(self) -> None:
        for pool, limit in self.limits.items():
            claims = [
                o
                for (plural, _, _), o in self.cluster.objects.items()
                if plural == CONNECTIONS.plural and (_claim(o) or {}).get("pool") == pool
            ]
            total = sum(_claim(o)["amount"] for o in claims if o["metadata"]["uid"] in self.anew)
            if self.is_exact and total:
                total += sum(1 for o in self._without_claim(pool) if self._alive(o))
            assert total <= limit, f"pool {pool} has granted {total} of {limit}"

    def _without_claim(self, pool: str) -> list[Object]:
        return [o for o in self._tags().values() if o["spec"]["poolRef"]["name"] == pool and not _claim(o)]

    def _check_open(self, name: str) -> None:
        tag = name.split(".")[2]
        if self.is_exact:
            assert len(self.makini.named(tag)) == 1, "a second connection is opened for one resource"
            assert tag in self._tags(), "a connection is opened for nobody"

    def _alive(self, obj: Object) -> list[str]:
        return self.makini.named(_tag(obj))

    def _tags(self) -> dict[str, Object]:
        return {_tag(o): o for (plural, _, _), o in self.cluster.objects.items() if plural == CONNECTIONS.plural}

    # --- rest ------------------------------------------------------------------------------------------------------

    def come_to_rest(self) -> None:
        """Only one process goes on, nothing disturbs it, and after two listings nothing changes any more."""
        self.network.clear()
        self._forget_ended()
        for process in self.processes[1:]:
            process.end()
        self._forget_ended()
        if self.is_lowered:
            self.raise_again()
        quiet = 0
        for _ in range(ROUNDS):
            if not self.processes:
                self.start()
            process = self.processes[0]
            before = self.cluster.version, dict(self.makini.alive)
            for uid in process.world.connections.uids():
                process.keys.add(uid)
            self.relist(0)
            self.run(0, STEPS)
            self._forget_ended()
            quiet = quiet + 1 if (self.cluster.version, self.makini.alive) == before else 0
            if quiet == QUIET:
                self._check_rest()
                return
        raise AssertionError("it never comes to rest")

    def _check_rest(self) -> None:
        owners = self._tags()
        tags = [name.split(".")[2] for name in self.makini.alive.values()]
        assert len(set(tags)) == len(tags), "a connection is open twice"
        for connection_id, name in self.makini.alive.items():
            owner = owners.get(name.split(".")[2])
            assert owner is not None, f"{connection_id} belongs to nobody"
            assert owner["status"].get("connectionID") == connection_id, f"{connection_id} is not recorded"
        for pool, limit in self.limits.items():
            self._check_pool(pool, limit, [o for o in owners.values() if o["spec"]["poolRef"]["name"] == pool])

    def _check_pool(self, pool: str, limit: int, connections: list[Object]) -> None:
        held = sum(claim["amount"] for o in connections if (claim := _claim(o)))
        stored = self.cluster.objects[(POOLS.plural, "", pool)]["status"]["credits"]["held"]
        assert stored == held, f"pool {pool} says {stored} is held, but {held} is"
        for o in connections:
            name, reason = o["metadata"]["name"], _reason(o)
            assert not o["metadata"].get("deletionTimestamp"), f"{name} is never let go"
            if not o["spec"].get("connected", True):
                assert not _claim(o), f"{name} keeps its credits"
            elif _claim(o):
                assert self._alive(o), f"{name} has credits and no connection"
            elif reason != "DisconnectedRemotely":
                assert held >= limit, f"{name} waits although it fits: {reason}"

    # --- details ---------------------------------------------------------------------------------------------------

    def _go_on(self, process: Process, *, is_blind: bool = False) -> bool:
        """One call is answered, or what was missed is taken in; returns whether there was anything to do."""
        has_news = not is_blind and process.watch(100)
        process.begin()
        tasks = [t for t in process.tasks.values() if t.call]
        if tasks:
            self._answer_in_turn(process, tasks[0])
        return bool(tasks) or has_news or process.has_work

    def _answer_in_turn(self, process: Process, task: Task) -> None:
        process.answer(task)
        if task.name in process.tasks:
            process.tasks[task.name] = process.tasks.pop(task.name)

    def _with_task(self, which: int, task: int, do: Any) -> None:
        process = self._process(which)
        if process:
            process.begin()
            tasks = [t for t in process.tasks.values() if t.call]
            if tasks and not process.has_ended:
                do(process, tasks[task % len(tasks)])

    def _process(self, which: int) -> Process | None:
        self._forget_ended()
        return self.processes[which] if which < len(self.processes) else None

    def _forget_ended(self) -> None:
        self.processes = [p for p in self.processes if not p.has_ended]


def _perform(call: Call) -> None:
    try:
        call.perform()
    except AssertionError:
        raise
    except Exception:  # noqa: BLE001, S110 - nobody waits for the answer any more
        pass


def _claim(obj: Object | None) -> Any:
    return obj and obj.get("status", {}).get("credits")


def _reason(obj: Object) -> str:
    conditions = obj.get("status", {}).get("conditions") or []
    return next((c["reason"] for c in conditions if c["type"] == "Ready"), "")


def _tag(obj: Object) -> str:
    meta = obj["metadata"]
    return marker.tag(KEY, namespace=meta["namespace"], name=meta["name"], uid=meta["uid"])


def _pool(name: str, limit: int) -> Object:
    account = {"url": "https://api.makini.io", "credentialsSecretRef": {"name": "makini-account"}}
    status = {"observedGeneration": -1}
    return {"metadata": {"name": name}, "spec": {"credits": limit, "account": account}, "status": status}


def _connection(name: str, pool: str) -> Object:
    spec: Object = {
        "poolRef": {"name": pool},
        "system": {"name": "fiix", "deployment": "Cloud"},
        "environment": "Production",
        "customer": {"name": name, "email": "it@acme.example"},
        "authorization": {"credentials": {"secretRef": {"name": "login"}}},
    }
    if name == "b":
        spec["priority"] = 1
    return {"metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec, "status": {"observedGeneration": -1}}
