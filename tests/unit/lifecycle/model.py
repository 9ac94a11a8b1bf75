"""A small world for `plan`: one connection, its pool, its Secret, its workflow and Makini, each as simple as possible.

`step` does what the operator does, one action at a time, and checks after each effect what
must never happen. What a process knows of Makini is the operator's own `AccountIndex`, filled
by listings that this world makes; everything that a process only remembers is lost in a crash.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from tests.cluster.kstatus import check_honest
from tests.unit.lifecycle.builders import (
    ELSEWHERE,
    FOREIGN,
    INTACT,
    LIFE,
    NO_CRON_JOBS,
    NO_SECRET,
    NOT_LISTED,
    NOW,
    POOL,
    REFUSED,
    SPEC,
)
from tests.unit.lifecycle.builders import secret as our_secret

from makini_operator.controllers.account_index import AccountIndex
from makini_operator.credits.ledger import Grant, Obstacle
from makini_operator.credits.queue import Notice
from makini_operator.lifecycle import actions
from makini_operator.lifecycle.marker import Marker
from makini_operator.lifecycle.observation import (
    CronJobsView,
    Observation,
    ReadersView,
    RemoteView,
    RunKind,
    Scheduled,
    SecretState,
    SecretView,
    Trouble,
    WorkloadState,
    WorkloadView,
)
from makini_operator.lifecycle.plan import plan
from makini_operator.lifecycle.requests import REVOKE, ROTATE
from makini_operator.lifecycle.rotation import attempt_of, progress_of
from makini_operator.resources.connection import CONNECTION_FINALIZER, MakiniConnection
from makini_operator.resources.connection_status import MakiniConnectionStatus, Phase
from makini_operator.resources.reasons import Reason
from makini_operator.resources.token import RestartTarget, TargetKind

TAG, HOME = "tag", "home"
WORKFLOW = Scheduled(RunKind.WORKFLOW, "nightly")
TARGET = RestartTarget(kind=TargetKind.DEPLOYMENT, name="erp")
TOKEN = {"rolloutRestart": [TARGET.dump()], "readers": [{"serviceAccountName": "erp"}]}
LIMIT = 12
DOWN = Trouble(Reason.MAKINI_UNREACHABLE, "Makini does not answer")


@dataclass
class Memory:
    """What one process knows and forgets when it ends."""

    incarnation: str
    index: AccountIndex
    fresh_attempt: int | None = None
    grant: Grant | None = None
    is_in_queue: bool = False
    trouble: Trouble | None = None
    concerns: tuple[int, bool] = (0, False)
    metadata_sent: str | None = None
    listing: tuple[int, tuple[str, ...]] | None = None
    has_tried_workflow: bool = False
    previous_works: tuple[int, bool] | None = None
    """For which token the one before was tried, and whether it worked."""


@dataclass
class TheWorld:
    """Everything there is. `replies` are the outcomes of the next calls that open; then they work."""

    replies: Iterator[str] = field(default_factory=lambda: iter(()))
    closes: Iterator[bool] = field(default_factory=lambda: iter(()))
    now: datetime = NOW
    exists: bool = True
    version: int = 1
    generation: int = 1
    connected: bool = True
    deleting: bool = False
    has_finalizer: bool = False
    status: MakiniConnectionStatus = field(default_factory=MakiniConnectionStatus)
    others: int = 0
    secret: str | None = None
    """The connection whose token is in the Secret."""
    issued_at: datetime = NOW
    attempt: int = 0
    previous_until: datetime | None = None
    kills_previous: bool = False
    """Makini ends a token when it makes another."""
    restarted_for: tuple[str, int] | None = None
    is_rollout_stuck: bool = False
    is_open_to_readers: bool = False
    annotations: dict[str, str] = field(default_factory=dict)
    asked: int = 0
    revoked: set[str] = field(default_factory=set)
    """Connections whose revocation was recorded."""
    is_foreign: bool = False
    has_cron_job: bool = False
    is_run_alive: bool = False
    """A run of the workflow, which uses the token; it may outlive its CronJob."""
    is_down: bool = False
    is_elsewhere: bool = False
    alive: dict[str, int] = field(default_factory=dict)
    """Connections at Makini, and how many listings had begun when each was opened."""
    was_ended_by_others: bool = False
    unannounced: set[str] = field(default_factory=set)
    """Those that another process has opened."""
    made: int = 0
    posts: int = 0
    processes: int = 0
    listings: int = 0

    def __post_init__(self) -> None:
        self.memory = self._new_process()

    # --- what may happen at any time -------------------------------------------------------------------------------

    def toggle(self) -> None:
        if not self.deleting:
            self.connected = not self.connected
            self._written(generation=True)

    def edit(self) -> None:
        if not self.deleting:
            self._written(generation=True)

    def delete(self) -> None:
        if not self.deleting:
            self.deleting = True
            self._written(generation=True)
            self.exists = self.has_finalizer

    def crash(self) -> None:
        self.memory = self._new_process()
        if self.status.credits is None and self.exists:
            self.status = self.status.model_copy(update={"touched_by": self.memory.incarnation})
            self._written()

    def end_in_dashboard(self) -> None:
        if self.status.connection_id:
            self.was_ended_by_others |= self.status.connection_id in self.alive
            self.alive.pop(self.status.connection_id, None)

    def open_elsewhere(self) -> None:
        """A process that was paused before its call, and goes on after another has taken over."""
        if self.status.credits and self.status.connection_id in self.alive:
            self.unannounced.add(self._open_at_makini())

    def take_credits(self) -> None:
        mine = self.status.credits.amount if self.status.credits else 0
        granted = self.memory.grant.amount if self.memory.grant else 0
        self.others = max(0, LIMIT - max(mine, granted))

    def return_credits(self) -> None:
        self.others = 0

    def lose_secret(self) -> None:
        self.secret = None

    def edit_secret(self) -> None:
        if self.secret:
            self.secret = "edited"  # noqa: S105 - not the id that it was published for

    def make_foreign_secret(self) -> None:
        if self.secret is None:
            self.is_foreign = True

    def remove_foreign_secret(self) -> None:
        self.is_foreign = False

    def request_rotation(self) -> None:
        self._ask(ROTATE)

    def request_revocation(self) -> None:
        self._ask(REVOKE)

    def change_what_makini_does(self) -> None:
        self.kills_previous = not self.kills_previous

    def break_rollout(self) -> None:
        self.is_rollout_stuck = True

    def mend_rollout(self) -> None:
        self.is_rollout_stuck = False

    def _ask(self, what: str) -> None:
        if self.exists:
            self.asked += 1
            self.annotations[what] = (self.now + timedelta(microseconds=self.asked)).isoformat()
            self._written()

    def start_run(self) -> None:
        self.is_run_alive |= self.has_cron_job

    def finish_run(self) -> None:
        self.is_run_alive = False

    def lose_cron_job(self) -> None:
        self.has_cron_job = False

    def makini_fails(self) -> None:
        self.is_down = True

    def makini_recovers(self) -> None:
        self.is_down = False

    def move_elsewhere(self) -> None:
        """The operator starts with an installation that belongs to another cluster."""
        self.crash()
        self.is_elsewhere = True

    def move_back(self) -> None:
        if self.is_elsewhere:
            self.crash()
        self.is_elsewhere = False

    def begin_listing(self) -> None:
        if not self.is_down and self.memory.listing is None:
            self.listings += 1
            self.memory.listing = (self.memory.index.begin(), tuple(self.alive))

    def finish_listing(self) -> None:
        if not self.is_down and self.memory.listing:
            number, rows = self.memory.listing
            self.memory.index.complete(number, [(i, Marker(TAG, 4, HOME)) for i in rows])
            self.memory.listing = None

    def wait(self) -> None:
        self.now += timedelta(minutes=5)

    # --- what the operator does ------------------------------------------------------------------------------------

    def step(self) -> bool:
        """Observe, plan, act once; returns whether anything was done."""
        if not self.exists:
            return False
        seen = self._observe()
        decided = plan(seen, self.now)
        self.memory.is_in_queue &= any(isinstance(a, actions.RequestCredits) for a in decided.actions)
        was_effective = False
        for action in decided.actions:
            failed = self._perform(action, seen)
            was_effective |= not isinstance(action, actions.RequestCredits | actions.ListAccount)
            if failed:
                break
        if decided.status is not None and decided.status != self.status and self.version == self._seen_version(seen):
            self._write(decided.status)
            was_effective = True
        return was_effective

    def list_when_asked(self) -> None:
        """What an account's own loop does meanwhile."""
        if self.memory.listing:
            self.finish_listing()
        elif self.memory.index.is_wanted:
            self.begin_listing()

    def is_going_down(self) -> bool:
        return self.deleting or not self.connected

    def _observe(self) -> Observation:
        intent = self.status.intent
        memory = self.memory
        is_mine = intent is not None and intent.incarnation == memory.incarnation
        remote = self._remote()
        return Observation(
            connection=self._object(),
            installation_trouble=ELSEWHERE if self.is_elsewhere else None,
            pool=replace(
                POOL,
                limit=LIMIT,
                notice=Notice(1, LIMIT - self.others, Obstacle.CREDITS) if memory.is_in_queue else None,
                trouble=replace(DOWN, retry_at=self.now + timedelta(seconds=1)) if self.is_down else None,
            ),
            grant=memory.grant if memory.grant and memory.grant.resource_version == str(self.version) else None,
            remote=remote,
            secret=self._secret(),
            adoptable=None,
            superseded_secrets=(),
            cron_jobs=self._cron_jobs(is_ending=self._is_ending(remote)),
            refusals={},
            is_login_present=True,
            may_post=is_mine and intent is not None and intent.attempt == memory.fresh_attempt,
            trouble=memory.trouble if memory.concerns == (self.generation, self.deleting) else None,
            incarnation=memory.incarnation,
            endpoint="https://api.makini.io",
            metadata_digest="digest",
            metadata_at_makini="digest"
            if memory.metadata_sent and memory.metadata_sent == self.status.connection_id
            else self.status.metadata_digest,
            previous_works=self._previous_works(),
            readers=ReadersView(are_as_wanted=self.is_open_to_readers, is_anything_there=self.is_open_to_readers),
            workloads={TARGET: self._workload()},
        )

    def _remote(self) -> RemoteView:
        if self.is_down:
            return NOT_LISTED
        wanted = not self.is_going_down()
        return self.memory.index.view(TAG, recorded_id=self.status.connection_id, is_wanted=wanted)

    def _secret(self) -> SecretView:
        if self.is_foreign:
            return FOREIGN
        if self.secret is None:
            return NO_SECRET
        if self.secret == self.status.connection_id:
            return replace(
                INTACT,
                issued_at=self.issued_at,
                expires_at=self.issued_at + LIFE,
                attempt=self.attempt,
                previous_expires_at=self.previous_until,
            )
        return our_secret(SecretState.TOKEN_LOST)

    def _previous_works(self) -> bool | None:
        found = self.memory.previous_works
        return found[1] if found and found[0] == self.attempt else None

    def _workload(self) -> WorkloadView:
        progress = progress_of(self._object())
        wanted = (self.status.connection_id or "", progress.attempt if progress else 0)
        if self.restarted_for != wanted:
            return WorkloadView(WorkloadState.PENDING)
        return WorkloadView(WorkloadState.STUCK if self.is_rollout_stuck else WorkloadState.DONE, "")

    def _is_ending(self, remote: RemoteView) -> bool:
        return (
            self.is_going_down()
            or remote.is_recorded_absent
            or self.status.phase is Phase.INACTIVE
            or self.status.revocation is not None
            or self.status.is_closing
        )

    def _cron_jobs(self, *, is_ending: bool) -> CronJobsView:
        """Runs are looked for on the way down only."""
        if is_ending:
            return replace(NO_CRON_JOBS, is_anything_left=self.has_cron_job or self.is_run_alive)
        are_accepted = self.has_cron_job or self.memory.has_tried_workflow
        return replace(NO_CRON_JOBS, are_accepted=are_accepted, to_apply=() if self.has_cron_job else (WORKFLOW,))

    def _perform(self, action: actions.Action, seen: Observation) -> bool:
        """Do it; returns whether it failed."""
        assert not self.is_elsewhere, "something is done in a cluster that the installation does not belong to"
        match action:
            case actions.AddFinalizer():
                self.has_finalizer = True
                self._written()
            case actions.RemoveFinalizer():
                self._check_nothing_is_left("the finalizer goes")
                self.has_finalizer, self.exists = False, False
            case actions.RequestCredits(amount, tier):
                self.memory.is_in_queue = True
                if self.memory.grant is None and self.others + amount <= LIMIT:
                    self.memory.grant = Grant("acme-uid", str(self.version), amount, tier)
            case actions.DeleteSecret():
                assert not self.is_going_down() or not self.is_run_alive, "the Secret goes while a run uses it"
                assert not self.is_open_to_readers, "the Secret goes before the right to read it"
                self.secret, self.previous_until = None, None
            case actions.RemoveReaders() | actions.ApplyReaders() | actions.DropPrevious() | actions.RestartWorkload():
                self._perform_about_token(action)
            case actions.TryCronJobs() | actions.ApplyCronJob() | actions.EndRuns():
                self._perform_on_workflow(action)
            case _:
                return self._perform_at_makini(action, seen)
        return False

    def _perform_about_token(self, action: actions.Action) -> None:
        match action:
            case actions.RemoveReaders():
                self.is_open_to_readers = False
            case actions.ApplyReaders():
                assert self.secret == self.status.connection_id, "a Secret is opened that is not known to be ours"
                assert not self.is_foreign, "a foreign Secret is opened"
                self.is_open_to_readers = True
            case actions.DropPrevious():
                self._drop_previous()
            case actions.RestartWorkload():
                assert self._secret().attempt == self.attempt, "restarted for a token that is not published"
                self.restarted_for = (self.status.connection_id or "", self.attempt)

    def _perform_on_workflow(self, action: actions.Action) -> None:
        match action:
            case actions.TryCronJobs():
                self.memory.has_tried_workflow = True
            case actions.ApplyCronJob(item):
                assert item == WORKFLOW, f"there is no {item}"
                assert not self.is_going_down(), "a workflow is started on the way down"
                assert self.secret is not None, "a workflow is started before its token is published"
                self.has_cron_job = True
            case actions.EndRuns():
                self.has_cron_job = self.is_run_alive = False

    def _perform_at_makini(self, action: actions.Action, seen: Observation) -> bool:
        match action:
            case actions.ListAccount():
                self.memory.index.request()
            case actions.Open():
                return self._open(seen)
            case actions.Close(ids):
                return self._close(ids)
            case actions.SendMetadata(connection_id):
                return self._send_metadata(connection_id)
            case actions.PublishToken(connection_id):
                return self._publish_token(connection_id)
            case actions.ProbePrevious():
                if self.is_down:
                    return self._fail()
                self.memory.previous_works = (self.attempt, not self.kills_previous)
            case _:
                raise AssertionError(f"{action} is not expected here")
        return False

    def _send_metadata(self, connection_id: str) -> bool:
        if connection_id not in self.alive:
            return self._fail()
        self.memory.metadata_sent = connection_id
        return False

    def _publish_token(self, connection_id: str) -> bool:
        assert not self.is_foreign, "a foreign Secret is overwritten"
        assert not self.is_going_down(), "a token is published on the way down"
        if connection_id not in self.alive:
            return self._fail()
        assert not self.revoked & set(self.alive), "a new token is published while a revoked one works"
        was_intact = self.secret == connection_id
        self.previous_until = self.issued_at + LIFE if was_intact else None
        self.secret, self.issued_at = connection_id, self.now
        self.attempt = attempt_of(self._object())
        return False

    def _drop_previous(self) -> None:
        progress = progress_of(self._object())
        assert progress is not None, "the previous token goes without a rotation"
        is_over = self.now >= self.issued_at + timedelta(minutes=10) and self._workload().state is WorkloadState.DONE
        is_useless = self.previous_until is not None and self.now >= self.previous_until
        assert is_over or is_useless or progress.previous == "Ended", "the previous token goes too early"
        self.previous_until = None

    def _open(self, seen: Observation) -> bool:
        intent = self.status.intent
        assert seen.may_post, "opened without permission"
        assert intent is not None, "opened without an intent"
        assert self.memory.fresh_attempt == intent.attempt, "opened on an intent that was used or is another process's"
        assert self.status.credits is not None, "opened without credits"
        assert set(self.alive) <= self.unannounced, "opened although one is open already"
        self.memory.fresh_attempt = None
        self.posts += 1
        self.memory.index.opening(Marker(TAG, 4, HOME))
        reply = next(self.replies, "created")
        if self.is_down or reply in {"not sent", "refused"}:
            self.memory.index.settle(TAG)
            if reply == "refused" and not self.is_down:
                self.memory.trouble, self.memory.concerns = REFUSED, (self.generation, self.deleting)
                return False
            return self._fail()
        if reply == "lost before":
            return self._fail()
        made = self._open_at_makini()
        if reply == "lost after":
            return self._fail()
        self.memory.index.opened(made, Marker(TAG, 4, HOME))
        self.memory.index.settle(TAG)
        self.memory.trouble = None
        return False

    def _close(self, ids: tuple[str, ...]) -> bool:
        is_ending = self.is_going_down() or self.status.revocation is not None
        assert self.secret is None or not is_ending, "closed at Makini before the Secret is gone"
        for connection_id in ids:
            if not next(self.closes, True):
                return self._fail()
            self.alive.pop(connection_id, None)
            self.memory.index.closed(connection_id)
        self.memory.trouble = None
        return False

    def _fail(self) -> bool:
        self.memory.trouble = replace(DOWN, retry_at=self.now + timedelta(seconds=1))
        self.memory.concerns = (self.generation, self.deleting)
        return True

    def _write(self, status: MakiniConnectionStatus) -> None:
        before, self.status = self.status, status
        self._written()
        if status.phase is Phase.INACTIVE:
            assert self.was_ended_by_others, "its own disconnect is taken for somebody else's"
        metadata = {"name": "acme", "generation": self.generation}
        check_honest({"kind": "MakiniConnection", "metadata": metadata, "status": status.dump()})
        if status.revocation and not before.revocation and before.connection_id:
            self.revoked.add(before.connection_id)
        if before.revocation and not status.revocation and not self.is_going_down():
            assert status.credits == before.credits, "a revocation gives up the seat"
        if before.credits and not status.credits:
            self._check_nothing_is_left("credits return")
        if status.credits and not before.credits:
            assert self.has_finalizer, "credits are held without a finalizer"
            assert self.others + status.credits.amount <= LIMIT, "more is held than the pool has"
            is_accepted = self.has_cron_job or self.memory.has_tried_workflow
            assert is_accepted, "credits are booked for a workflow that nobody has tried out"
        intent = status.intent
        if intent and intent != before.intent and intent.incarnation == self.memory.incarnation:
            self.memory.fresh_attempt = intent.attempt

    def _check_nothing_is_left(self, what: str) -> None:
        """Another process's call may land after the last listing began: nobody can know of that one yet."""
        known = {i for i, born in self.alive.items() if i not in self.unannounced or born < self.listings}
        assert not known, f"{what} while {sorted(known)} is alive at Makini"
        assert not self.is_run_alive, f"{what} while a run is alive"
        assert not self.has_cron_job, f"{what} while a CronJob may start a run"

    def _written(self, *, generation: bool = False) -> None:
        self.version += 1
        self.generation += generation
        if self.memory.grant and int(self.memory.grant.resource_version) < self.version:
            self.memory.grant = None

    def _open_at_makini(self) -> str:
        self.made += 1
        connection_id = f"c{self.made}"
        self.alive[connection_id] = self.listings
        return connection_id

    def _object(self) -> MakiniConnection:
        metadata: dict[str, Any] = {
            "name": "acme",
            "namespace": "tenant",
            "uid": "acme-uid",
            "resourceVersion": str(self.version),
            "generation": self.generation,
            "finalizers": [CONNECTION_FINALIZER] if self.has_finalizer else [],
            "annotations": self.annotations,
        }
        if self.deleting:
            metadata["deletionTimestamp"] = "2025-03-01T12:00:00Z"
        spec = SPEC | {"connected": self.connected, "token": TOKEN}
        return MakiniConnection.parse({"metadata": metadata, "spec": spec, "status": self.status.dump()})

    def _seen_version(self, seen: Observation) -> int:
        return int(seen.connection.metadata.resource_version)

    def _new_process(self) -> Memory:
        self.processes += 1
        memory = Memory(f"process-{self.processes}", AccountIndex(wake=lambda: None))
        memory.index.request()
        return memory
