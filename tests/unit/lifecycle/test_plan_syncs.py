"""Syncs in the plan: runs that somebody asks for, and what status says of how runs ended."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.unit.lifecycle.builders import (
    CLAIM,
    EARLIER,
    INTACT,
    NO_CRON_JOBS,
    NOW,
    TOKEN,
    connection,
    going_down,
    observation,
    planned,
    remote,
    shown,
    status_of,
)

from makini_operator.lifecycle.actions import (
    ApplyCronJob,
    ApplyEgress,
    DeleteCronJob,
    EndRuns,
    RemoveEgress,
    StartSync,
    TryCronJobs,
)
from makini_operator.lifecycle.cron_jobs import REFUSED
from makini_operator.lifecycle.happenings import happenings
from makini_operator.lifecycle.observation import (
    EgressView,
    Observation,
    RunKind,
    Scheduled,
    Trouble,
)
from makini_operator.lifecycle.plan import plan
from makini_operator.lifecycle.sync_view import AskedRun, SyncAsk, SyncRun, SyncsView
from makini_operator.resources.conditions import Condition, find, timestamp
from makini_operator.resources.connection_status import MakiniConnectionStatus
from makini_operator.resources.reasons import ConditionType, Reason
from makini_operator.resources.sync_status import SyncStatus

UP: dict[str, Any] = {
    "observedGeneration": 1,
    "credits": CLAIM,
    "connectionID": "c1",
    "connectedAt": EARLIER,
    "token": TOKEN,
    "metadataDigest": "digest",
}
ORDERS: dict[str, Any] = {
    "name": "orders",
    "schedule": "@hourly",
    "entities": ["erp/purchase-orders"],
    "destination": {"duckdb": {"volumeClaimName": "history"}},
}
ASSETS = ORDERS | {"name": "assets", "suspend": True}
CRON = {"orders": "acme-orders-1"}
REQUEST = "makini.io/sync-requested-at"
FULL = "makini.io/full-sync-requested-at"
ACCEPT = "makini.io/accept-gone-requested-at"
ASKED = "2025-03-01T11:00:00Z"


def run(*, ok: bool, ago: timedelta = timedelta(minutes=1), message: str = "") -> SyncRun:
    return SyncRun(has_succeeded=ok, finished_at=NOW - ago, message=message)


def running(
    *runs: SyncRun,
    syncs: tuple[dict[str, Any], ...] = (ORDERS,),
    told: dict[str, Any] | None = None,
    annotations: dict[str, str] | None = None,
    started: tuple[AskedRun, ...] = (),
    busy: tuple[str, ...] = (),
    waiting: str = "",
    status: dict[str, Any] | None = None,
    changes: dict[str, Any] | None = None,
    **spec: Any,
) -> Observation:
    before = {"syncs": [{"name": "orders", "cronJob": "acme-orders-1"} | told]} if told else {}
    of = connection(status=UP | before | (status or {}), syncs=list(syncs), **spec)
    meta = of.metadata.model_copy(update={"annotations": annotations or {}})
    view = SyncsView(
        cron_jobs=CRON,
        last={"orders": runs[0]} if runs else {},
        waiting={"orders": waiting} if waiting else {},
        busy=frozenset(busy),
        started=frozenset(started),
    )
    defaults: dict[str, Any] = {"remote": remote("c1"), "secret": INTACT, "syncs": view}
    return observation(of.model_copy(update={"metadata": meta}), **(defaults | (changes or {})))


def told(o: Observation) -> SyncStatus:
    (only,) = status_of(o).syncs or []
    return only


def healthy(o: Observation) -> Condition:
    found = find(status_of(o).conditions or [], ConditionType.SYNCS_HEALTHY)
    assert found
    return found


# --- their CronJobs -------------------------------------------------------------------------------------------------


def test_they_are_tried_out_before_credits_and_written_with_the_token() -> None:
    item = Scheduled(RunKind.SYNC, "orders")
    untried = replace(NO_CRON_JOBS, are_accepted=False, to_apply=(item,))
    assert plan(observation(cron_jobs=untried), NOW).actions == (TryCronJobs(),)
    assert plan(running(changes={"cron_jobs": replace(untried, are_accepted=True)}), NOW).actions == (
        ApplyCronJob(item),
    )


@pytest.mark.parametrize("kind", list(RunKind))
def test_what_is_wrong_with_one_kind_keeps_nothing_of_the_other_back(kind: RunKind) -> None:
    other = next(each for each in RunKind if each is not kind)
    mine, others = Scheduled(kind, "orders"), Scheduled(other, "orders")
    view = replace(NO_CRON_JOBS, problems={kind: "no image"}, to_apply=(others,), superseded=(mine, others))
    actions = plan(running(changes={"cron_jobs": view}), NOW).actions
    assert actions == (DeleteCronJob(mine), DeleteCronJob(others), ApplyCronJob(others))
    trouble = Trouble(REFUSED[kind], "says Kubernetes", NOW + timedelta(seconds=9))
    refused = running(changes={"cron_jobs": view, "refusals": {REFUSED[kind]: trouble}})
    assert plan(refused, NOW).actions == (DeleteCronJob(others), ApplyCronJob(others))
    done = running(changes={"cron_jobs": replace(view, to_apply=(), superseded=())})
    assert shown(status_of(done)) == ("Stalled", "SyncRefused" if kind is RunKind.SYNC else "WorkflowRefused")


def test_a_refused_sync_costs_nothing_before_credits_and_says_so_afterwards() -> None:
    refused = {Reason.SYNC_REFUSED: Trouble(Reason.SYNC_REFUSED, "quota", NOW + timedelta(seconds=9))}
    before = observation(cron_jobs=replace(NO_CRON_JOBS, are_accepted=False), refusals=refused)
    assert plan(before, NOW).actions == ()
    assert shown(status_of(before)) == ("Stalled", "SyncRefused")
    after = running(changes={"refusals": refused})
    assert healthy(after).status == "False"
    assert healthy(after).reason == Reason.SYNC_REFUSED
    assert status_of(after).phase == "Active"


def test_where_syncs_may_go_is_settled_before_they_begin_and_after_they_have_gone() -> None:
    sync, workflow = (Scheduled(kind, "orders") for kind in (RunKind.SYNC, RunKind.WORKFLOW))
    missing = replace(NO_CRON_JOBS, to_apply=(sync, workflow))
    fenced: dict[str, Any] = {"syncEgress": [{"cidr": "10.0.0.0/8"}]}
    unsettled = {"cron_jobs": missing, "egress": EgressView(is_as_wanted=False)}
    assert plan(running(changes=unsettled, **fenced), NOW).actions == (ApplyEgress(), ApplyCronJob(workflow))
    assert plan(running(changes=unsettled), NOW).actions == (RemoveEgress(), ApplyCronJob(workflow))
    settled = unsettled | {"egress": EgressView(is_anything_there=True)}
    assert plan(running(changes=settled, **fenced), NOW).actions == (ApplyCronJob(sync), ApplyCronJob(workflow))
    for is_left, first in ((True, EndRuns()), (False, RemoveEgress())):
        left = replace(NO_CRON_JOBS, is_anything_left=is_left)
        down = observation(
            going_down(UP), remote=remote("c1"), cron_jobs=left, egress=EgressView(is_anything_there=True)
        )
        assert plan(down, NOW).actions == (first,)


# --- runs that somebody asks for ------------------------------------------------------------------------------------


ANNOTATIONS = {SyncAsk.NOW: REQUEST, SyncAsk.FULL: FULL, SyncAsk.ACCEPT_GONE: ACCEPT}


def asked(ask: SyncAsk, name: str = "orders") -> AskedRun:
    return AskedRun(name, ask, ASKED)


@pytest.mark.parametrize("ask", list(SyncAsk))
def test_a_run_that_is_asked_for_is_started_and_then_recorded(ask: SyncAsk) -> None:
    annotations = {ANNOTATIONS[ask]: ASKED}
    assert plan(running(syncs=(ORDERS, ASSETS), annotations=annotations), NOW).actions == (StartSync(asked(ask)),)
    started = running(annotations=annotations, started=(asked(ask),), busy=("orders",))
    assert plan(started, NOW).actions == ()
    handled = status_of(started).handled
    assert handled
    field = {SyncAsk.NOW: "syncAt", SyncAsk.FULL: "fullSyncAt", SyncAsk.ACCEPT_GONE: "acceptGoneAt"}[ask]
    assert handled.dump() == {field: ASKED}
    assert plan(running(annotations=annotations, status={"handled": {field: ASKED}}), NOW).actions == ()


def test_equal_values_of_two_requests_are_two_requests() -> None:
    both = {REQUEST: ASKED, FULL: ASKED}
    assert plan(running(annotations=both), NOW).actions == (StartSync(asked(SyncAsk.FULL)),)
    after_now = running(annotations=both, started=(asked(SyncAsk.NOW),))
    assert plan(after_now, NOW).actions == (StartSync(asked(SyncAsk.FULL)),)
    only_now = running(annotations=both, started=(asked(SyncAsk.NOW),), busy=("orders",))
    handled = status_of(only_now).handled
    assert handled
    assert (handled.sync_at, handled.full_sync_at) == (ASKED, None)


def test_a_run_that_has_not_ended_keeps_others_back_and_their_requests_open() -> None:
    waiting = running(annotations={REQUEST: ASKED}, busy=("orders",))
    assert plan(waiting, NOW).actions == ()
    assert status_of(waiting).handled is None


def test_a_request_is_handled_when_every_sync_has_its_run() -> None:
    two = (ORDERS, ORDERS | {"name": "assets"})
    one_is_busy = running(syncs=two, annotations={REQUEST: ASKED}, busy=("orders",))
    assert plan(one_is_busy, NOW).actions == (StartSync(asked(SyncAsk.NOW, "assets")),)
    half = running(syncs=two, annotations={REQUEST: ASKED}, busy=("orders",), started=(asked(SyncAsk.NOW, "assets"),))
    assert status_of(half).handled is None
    then = running(syncs=two, annotations={REQUEST: ASKED}, started=(asked(SyncAsk.NOW, "assets"),))
    assert plan(then, NOW).actions == (StartSync(asked(SyncAsk.NOW)),)


@pytest.mark.parametrize(
    "changes",
    [
        {"annotations": {REQUEST: "2025-01-31T23:59:59Z"}},  # older than the connection
        {"annotations": {REQUEST: "soon"}},
        {"annotations": {REQUEST: ASKED}, "suspend": True},
        {"annotations": {REQUEST: ASKED}, "syncs": (ASSETS,)},
        {"annotations": {REQUEST: ASKED}, "syncs": ()},
        {
            "annotations": {REQUEST: ASKED},
            "changes": {
                "refusals": {Reason.SYNC_REFUSED: Trouble(Reason.SYNC_REFUSED, "", NOW + timedelta(seconds=1))}
            },
        },
    ],
)
def test_nothing_is_started_for(changes: dict[str, Any]) -> None:
    assert plan(running(**changes), NOW).actions == ()
    handled = status_of(running(**changes)).handled
    assert handled is None or handled.sync_at is None


def test_what_is_not_a_time_is_said() -> None:
    assert "is not a time" in shown_message(running(annotations={REQUEST: "soon"}))


def shown_message(o: Observation) -> str:
    ready = find(status_of(o).conditions or [], ConditionType.READY)
    assert ready
    return ready.message


# --- how runs ended -------------------------------------------------------------------------------------------------


def test_before_the_first_run_nobody_knows() -> None:
    assert told(running()) == SyncStatus(name="orders", cron_job="acme-orders-1")
    assert (healthy(running()).status, healthy(running()).reason) == ("Unknown", Reason.SYNC_PENDING)


def test_a_success_is_told() -> None:
    o = running(run(ok=True, message="95 records read, 3 written"))
    at = timestamp(NOW - timedelta(minutes=1))
    assert told(o) == SyncStatus(
        name="orders",
        cron_job="acme-orders-1",
        last_result="Succeeded",
        last_finished=at,
        last_success=at,
        message="95 records read, 3 written",
    )
    assert (healthy(o).status, healthy(o).reason) == ("True", Reason.SYNC_SUCCEEDED)


SUCCESS = {"lastResult": "Succeeded", "lastFinished": EARLIER, "lastSuccess": EARLIER, "message": "3 written"}
FAILURE = {"lastResult": "Failed", "lastFinished": EARLIER, "lastSuccess": EARLIER, "message": "page 4"}
OLD = NOW - datetime.fromisoformat(EARLIER)


@pytest.mark.parametrize(
    ("before", "now", "is_written"),
    [
        (SUCCESS, run(ok=True, ago=OLD - timedelta(minutes=59), message="9 written"), False),
        (SUCCESS, run(ok=True, ago=OLD - timedelta(minutes=60), message="9 written"), True),
        (SUCCESS, run(ok=False, ago=OLD - timedelta(minutes=1), message="page 4"), True),
        (SUCCESS, run(ok=False, ago=OLD + timedelta(minutes=1), message="page 4"), False),
        (FAILURE, run(ok=False, ago=OLD - timedelta(minutes=59), message="page 4"), False),
        (FAILURE, run(ok=False, ago=OLD - timedelta(minutes=1), message="page 5"), True),
        (FAILURE, run(ok=False, ago=OLD - timedelta(minutes=60), message="page 4"), True),
        (FAILURE, run(ok=True, ago=OLD - timedelta(minutes=1)), True),
    ],
)
def test_what_stays_the_same_is_written_once_an_hour(before: dict[str, Any], now: SyncRun, is_written: bool) -> None:
    found = told(running(now, told=before))
    assert (found.last_finished == timestamp(now.finished_at)) is is_written
    assert (found.dump() == {"name": "orders", "cronJob": "acme-orders-1"} | before) is not is_written


def test_a_failure_keeps_the_last_success_and_changes_nothing_else() -> None:
    o = running(run(ok=False, message="NotWhole: page 4 is empty"), told=SUCCESS)
    assert (told(o).last_result, told(o).last_success) == ("Failed", EARLIER)
    assert healthy(o).status == "False"
    assert healthy(o).message == f"sync orders failed: NotWhole: page 4 is empty (last success {EARLIER})"
    assert shown(status_of(o)) == ("Ready", "Connected")


def test_a_connection_can_be_degraded_by_its_syncs() -> None:
    policy = {"syncFailures": "Degrade"}
    failed = running(run(ok=False, message="page 4"), told=SUCCESS, healthPolicy=policy)
    assert shown(status_of(failed)) == ("Stalled", "SyncFailed")
    assert "page 4" in shown_message(failed)
    assert shown(status_of(running(run(ok=True), told=FAILURE, healthPolicy=policy))) == ("Ready", "Connected")
    ignored = running(run(ok=False), told=SUCCESS, healthPolicy={"syncFailures": "Ignore"})
    assert shown(status_of(ignored)) == ("Ready", "Connected")


def test_a_run_that_does_not_begin_is_told_until_it_begins() -> None:
    why = "ImagePullBackOff: Back-off pulling image"
    later = NOW + timedelta(minutes=5)
    view = SyncsView(cron_jobs=CRON, waiting={"orders": why}, look_again_at=later)
    stuck = running(told=SUCCESS, changes={"syncs": view})
    assert (told(stuck).waiting, told(stuck).last_result) == (why, "Succeeded")
    assert (healthy(stuck).status, healthy(stuck).reason) == ("False", Reason.SYNC_NOT_STARTED)
    assert healthy(stuck).message == f"a run of sync orders does not begin: {why} (last success {EARLIER})"
    assert plan(stuck, NOW).requeue_after == timedelta(minutes=5)
    degraded = running(told=SUCCESS, changes={"syncs": view}, healthPolicy={"syncFailures": "Degrade"})
    assert shown(status_of(degraded)) == ("Stalled", "SyncNotStarted")
    begun = running(told=SUCCESS | {"waiting": why})
    assert told(begun).waiting is None
    assert healthy(begun).status == "True"
    old, new = MakiniConnectionStatus(), MakiniConnectionStatus(syncs=[told(stuck)])
    assert [each.reason for each in happenings(old, new)] == ["SyncNotStarted"]
    assert happenings(new, new) == ()


def test_without_syncs_nothing_is_said_of_them() -> None:
    o = running(syncs=(), told=SUCCESS, changes={"syncs": SyncsView()})
    assert status_of(o).syncs is None
    assert find(status_of(o).conditions or [], ConditionType.SYNCS_HEALTHY) is None


def test_a_connection_that_is_ended_keeps_what_its_syncs_did() -> None:
    of = going_down({"observedGeneration": 1, "syncs": [{"name": "orders", "cronJob": "x"} | FAILURE]}, deleting=False)
    of = of.model_copy(update={"spec": connection(syncs=[ORDERS], connected=False).spec})
    status = planned(observation(of)).status
    assert status
    assert [sync.message for sync in status.syncs or []] == ["page 4"]
    condition = find(status.conditions or [], ConditionType.SYNCS_HEALTHY)
    assert condition
    assert (condition.status, condition.reason) == ("Unknown", Reason.NOT_CONNECTED)


def test_a_beginning_and_an_end_of_failures_are_events() -> None:
    def status(*results: str | None) -> MakiniConnectionStatus:
        syncs = [SyncStatus(name=f"s{n}", cron_job="c", last_result=result) for n, result in enumerate(results)]
        return MakiniConnectionStatus(syncs=syncs)

    def reasons(before: MakiniConnectionStatus, after: MakiniConnectionStatus) -> list[tuple[str, bool]]:
        return [(each.reason, each.is_warning) for each in happenings(before, after)]

    assert reasons(status(None, "Failed"), status("Failed", "Succeeded")) == [
        ("SyncFailed", True),
        ("SyncSucceeded", False),
    ]
    assert reasons(status("Failed", "Succeeded"), status("Failed", "Succeeded")) == []
    assert reasons(MakiniConnectionStatus(), status("Succeeded")) == []


@pytest.mark.parametrize(
    ("before", "now", "is_news"),
    [
        ("ErrImagePull: from port 1", "ImagePullBackOff: back-off 20s", False),
        ("Unschedulable: 0/3 nodes", "Unschedulable: 0/4 nodes", False),
        ("Unschedulable: 0/3 nodes", "ImagePullBackOff: back-off 20s", True),
    ],
)
def test_the_same_obstacle_in_other_words_is_no_news(before: str, now: str, is_news: bool) -> None:
    found = told(running(told={"waiting": before}, waiting=now))
    assert found.waiting == (now if is_news else before)
    assert told(running(told={"waiting": before})).waiting is None
