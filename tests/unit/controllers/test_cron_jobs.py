"""Ending what runs: nothing is spared because something else is refused, and what was refused is tried again."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.lifecycle.builders import connection

from makini_operator.controllers.cron_jobs import CronJobs
from makini_operator.controllers.notes import ChildRefused, Note
from makini_operator.kube.api import Resource
from makini_operator.kube.errors import Forbidden, Invalid, KubeError, Unavailable
from makini_operator.lifecycle.observation import CronJobsView, RunKind, Scheduled
from makini_operator.manifests import cron_job
from makini_operator.manifests.ownership import Manifest
from makini_operator.resources.connection import MakiniConnection
from makini_operator.resources.reasons import Reason

WORKFLOWS = [{"name": name, "schedule": "@hourly", "jobTemplate": {"spec": {}}} for name in ("first", "second")]
ENDED = {"observedGeneration": 1, "phase": "Disconnected"}


def acme(**status: Any) -> MakiniConnection:
    return connection(status=status, workflows=WORKFLOWS, connected=False)


FIRST, SECOND = (cron_job.cron_job_name(acme(), Scheduled(RunKind.WORKFLOW, name)) for name in ("first", "second"))
FIRST_RUNS = {f"cronjobs/{FIRST}", f"jobs/{FIRST}-1", f"pods/{FIRST}-1-a", f"pods/{FIRST}-1-b"}
SECOND_RUNS = {f"cronjobs/{SECOND}", f"jobs/{SECOND}-1", f"pods/{SECOND}-1-a"}


def child(kind: str, name: str) -> Manifest:
    workflow, cron = ("first", FIRST) if name.startswith(FIRST) else ("second", SECOND)
    controller = {
        "cronjobs": ("MakiniConnection", "acme"),
        "jobs": ("CronJob", cron),
        "pods": ("Job", f"{cron}-1"),
    }[kind]
    return {
        "metadata": {
            "name": name,
            "namespace": "tenant",
            "uid": f"{kind}/{name}",
            "resourceVersion": "1",
            "creationTimestamp": "2025-03-01T12:00:00Z",
            "labels": {"makini.io/connection": "acme", "makini.io/workflow": workflow},
            "ownerReferences": [{"kind": controller[0], "name": controller[1], "uid": "acme-uid", "controller": True}],
        },
        "spec": {},
    }


class Cluster:
    """CronJobs, Jobs and pods of two workflows; deletions and lists that are in `refused` are answered with it."""

    def __init__(self, refused: dict[str, KubeError]) -> None:
        self.left = FIRST_RUNS | SECOND_RUNS
        self.refused = refused
        self.deleted: list[str] = []
        self.lists = 0

    def of(self, kind: str) -> list[Manifest]:
        return [child(kind, each.partition("/")[2]) for each in sorted(self.left) if each.startswith(f"{kind}/")]

    async def list_all(self, resource: Resource, *_: object, **__: object) -> list[Manifest]:
        self.lists += 1
        if resource.plural in self.refused:
            raise self.refused[resource.plural]
        return self.of(resource.plural)

    async def delete(self, resource: Resource, _: str, name: str, *, uid: str, grace: int | None) -> None:
        what = f"{resource.plural}/{name}"
        assert uid == what
        assert (grace == 1) is (resource.plural == "pods")
        if what in self.refused:
            raise self.refused[what]
        self.deleted.append(what)
        self.left.discard(what)


class Scene:
    """A connection on its way down."""

    def __init__(self, refused: dict[str, KubeError] | None = None) -> None:
        self.cluster = Cluster(dict(refused or {}))
        known = SimpleNamespace(cron_jobs_of=self.owned, cron_jobs=SimpleNamespace(remove=lambda _: None))
        self.cron_jobs = CronJobs(SimpleNamespace(api=self.cluster, children=known))  # type: ignore[arg-type]
        self.note = Note()

    def owned(self, _: str) -> list[cron_job.CronJobRecord]:
        return [cron_job.record(found) for found in self.cluster.of("cronjobs")]

    def end(self) -> ChildRefused | None:
        """As the reconciler does it."""
        try:
            asyncio.run(self.cron_jobs.end(acme()))
        except ChildRefused as error:
            self.note.child_refused(acme(), error)
            return error
        return None

    def is_anything_left(self, **status: Any) -> bool:
        found: CronJobsView = asyncio.run(self.cron_jobs.look(acme(**status), "", self.note, is_ending=True))
        return found.is_anything_left


def test_pods_end_first_then_what_could_start_others() -> None:
    scene = Scene()
    assert scene.end() is None
    assert scene.cluster.left == set()
    assert [what.partition("/")[0] for what in scene.cluster.deleted] == ["pods"] * 3 + ["cronjobs"] * 2 + ["jobs"] * 2


@pytest.mark.parametrize("error", [Forbidden("kept here"), Invalid("kept here")])
@pytest.mark.parametrize("what", sorted(FIRST_RUNS))
def test_one_that_is_refused_spares_nothing_else(what: str, error: KubeError) -> None:
    scene = Scene({what: error})
    refused = scene.end()
    assert refused is not None
    assert (refused.reason, str(refused)) == (
        Reason.WORKFLOW_REFUSED,
        "what runs for this connection cannot be ended: kept here",
    )
    assert scene.cluster.left == {what}


def test_pods_that_may_not_be_listed_spare_neither_cron_jobs_nor_jobs() -> None:
    scene = Scene({"pods": Forbidden("no pods for you")})
    assert "no pods for you" in str(scene.end())
    assert {what.partition("/")[0] for what in scene.cluster.left} == {"pods"}


def test_the_first_refusal_is_told() -> None:
    scene = Scene({f"cronjobs/{SECOND}": Forbidden("the second"), f"pods/{FIRST}-1-b": Forbidden("the first")})
    assert str(scene.end()).endswith(": the first")


def test_what_is_no_refusal_is_not_taken_for_one() -> None:
    scene = Scene({f"cronjobs/{FIRST}": Unavailable("no answer")})
    with pytest.raises(Unavailable):
        scene.end()


def test_of_one_that_was_dropped_everything_goes_and_nothing_of_the_others() -> None:
    kept = f"pods/{FIRST}-1-a"
    scene = Scene({kept: Forbidden("kept here")})
    with pytest.raises(ChildRefused, match="kept here"):
        asyncio.run(scene.cron_jobs.remove(acme(), Scheduled(RunKind.WORKFLOW, FIRST)))
    assert scene.cluster.left == SECOND_RUNS | {kept}


def test_what_was_refused_is_looked_for_also_when_the_end_was_told() -> None:
    scene = Scene({f"jobs/{FIRST}-1": Forbidden("kept here")})
    assert scene.end() is not None
    assert scene.cluster.left == {f"jobs/{FIRST}-1"}
    assert scene.is_anything_left(**ENDED)
    scene.cluster.refused.clear()
    assert scene.end() is None
    assert not scene.is_anything_left(**ENDED)
    before = scene.cluster.lists
    assert not scene.is_anything_left(**ENDED)
    assert scene.cluster.lists == before, "once is enough"


def test_after_an_end_without_a_refusal_nothing_is_looked_for() -> None:
    scene = Scene()
    assert scene.is_anything_left()
    assert scene.end() is None
    assert not scene.is_anything_left()
    before = scene.cluster.lists
    assert not scene.is_anything_left(**ENDED)
    assert scene.cluster.lists == before
