"""Everything that `plan` may look at, as plain immutable values.

An observation is taken fresh for every step. What is unknown is said to be unknown
(`None`), never guessed: most accidents of operators begin with a default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, StrEnum, auto

from makini_operator.credits.ledger import Grant
from makini_operator.credits.queue import Notice
from makini_operator.lifecycle.sync_view import SyncsView
from makini_operator.resources.connection import MakiniConnection
from makini_operator.resources.pricing import Pricing
from makini_operator.resources.reasons import Reason
from makini_operator.resources.token import RestartTarget


@dataclass(frozen=True)
class Trouble:
    """Something outside the spec that keeps a step from succeeding.

    `retry_at` is None when only a change (of a spec or a Secret) can help.
    """

    reason: Reason
    message: str
    retry_at: datetime | None = None


@dataclass(frozen=True)
class PoolView:
    """The pool that the connection names."""

    name: str
    uid: str
    limit: int
    pricing: Pricing | None
    hold: bool
    is_deleting: bool
    has_sandbox: bool
    is_led: bool
    """This process has taken the pool over: it may act at Makini for it."""
    namespace_limit: int | None
    """Credits that one namespace may hold; None: no limit."""
    is_open: bool
    """The pool's namespaceSelector lets this connection's namespace in."""
    notice: Notice | None
    """What the queue last had to say to this connection; None: it has not been looked at with it yet."""
    trouble: Trouble | None
    """What is wrong with the account that this connection would use."""


@dataclass(frozen=True)
class RemoteView:
    """What Makini has with this connection's marker."""

    is_complete: bool
    """The account has been listed completely since this process leads, and after the last call of unknown outcome."""
    ids: tuple[str, ...]
    """Connections alive there, smallest id first."""
    is_recorded_absent: bool
    """The id in status was missing in two complete listings in a row."""
    is_recorded_unmarked: bool = False
    """The id in status is alive, but its name does not have this connection's marker: somebody has renamed it."""


class SecretState(Enum):
    """How the token's Secret stands."""

    ABSENT = auto()
    FOREIGN = auto()
    """There is one of that name, and it is not ours."""
    INTACT = auto()
    ALTERED = auto()
    """The token is intact; labels, annotations or the other keys are not as they should be."""
    TOKEN_LOST = auto()
    """The token is missing, edited, or another connection's: only a new one helps."""


@dataclass(frozen=True)
class SecretView:
    """The token's Secret; never its content."""

    state: SecretState
    owner: str = ""
    """For FOREIGN: whose it is, in words."""
    issued_at: datetime | None = None
    expires_at: datetime | None = None
    attempt: int = 0
    """Which of the connection's tokens it holds; 0: the first."""
    previous_expires_at: datetime | None = None
    """When the previous token expires; None: it holds no previous one."""


@dataclass(frozen=True)
class ReadersView:
    """The Role and RoleBinding that let readers get the token's Secret."""

    are_as_wanted: bool = True
    is_anything_there: bool = False
    """A Role or RoleBinding of ours exists."""


@dataclass(frozen=True)
class StoresView:
    """The PushSecrets that copy the token's Secret into stores."""

    is_served: bool = True
    """External Secrets Operator's definition of PushSecret exists, or is not needed."""
    to_apply: tuple[str, ...] = ()
    """Stores of the spec whose PushSecret is missing, or not for the token that is published."""
    to_remove: tuple[str, ...] = ()
    """Names of PushSecrets of ours that are not wanted and that nobody has deleted yet."""
    problem: str = ""
    """What External Secrets Operator says is wrong, or what is awaited; empty: all copies are there."""


class WorkloadState(Enum):
    """How a workload's restart stands."""

    PENDING = auto()
    """Not restarted for this token yet."""
    ROLLING = auto()
    STUCK = auto()
    """It will not come to its end by itself."""
    DONE = auto()
    """Only pods that started with this token are left; or there is no such workload."""


@dataclass(frozen=True)
class WorkloadView:
    """One workload of `rolloutRestart`."""

    state: WorkloadState
    why: str = ""
    """What it waits for, or what is wrong."""


class RunKind(StrEnum):
    """What a CronJob of ours runs."""

    WORKFLOW = "workflow"
    SYNC = "sync"


@dataclass(frozen=True, order=True)
class Scheduled:
    """One workflow or sync of the spec, or a CronJob of ours that is left of one."""

    kind: RunKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class CronJobsView:
    """The CronJobs of workflows and syncs, and what they have started."""

    problems: Mapping[RunKind, str]
    """What is wrong, so that it cannot even be tried out."""
    are_accepted: bool
    """The API server has accepted the CronJobs of exactly this spec in a dry run."""
    to_apply: tuple[Scheduled, ...]
    """Those whose CronJob is missing or not as it should be."""
    superseded: tuple[Scheduled, ...]
    """CronJobs of ours, by their names, that the spec does not ask for any more."""
    is_anything_left: bool
    """CronJobs, Jobs or pods of ours exist that nobody has deleted yet; looked for on the way down only."""


@dataclass(frozen=True)
class EgressView:
    """The NetworkPolicy that says where sync pods may go."""

    is_as_wanted: bool = True
    is_anything_there: bool = False


@dataclass(frozen=True)
class Observation:
    """One connection and everything that bears on it."""

    connection: MakiniConnection
    installation_trouble: Trouble | None
    pool: PoolView | None
    grant: Grant | None
    """Credits committed to exactly this version of the connection."""
    remote: RemoteView
    adoptable: str | None
    """In a confirmed restore: the tag, of an earlier uid, under which this connection was found at Makini."""
    secret: SecretView
    superseded_secrets: tuple[str, ...]
    """Names of Secrets of ours that the spec does not name any more."""
    cron_jobs: CronJobsView
    refusals: Mapping[Reason, Trouble]
    """Children that the API server has refused to take or to give up, by what is shown for it."""
    is_login_present: bool | None
    """Whether the customer's login Secret exists; None: not looked."""
    may_post: bool
    """This process has recorded the intent in status and has not acted on it: exactly one POST is allowed."""
    trouble: Trouble | None
    """How the last attempt at Makini failed."""
    incarnation: str
    endpoint: str
    metadata_digest: str
    """Digest of the metadata that Makini should have."""
    metadata_at_makini: str | None
    """Digest of the metadata that it has, as far as is known."""
    may_record_closing: bool = True
    """The API server keeps `status.closing`: its definition is not older than this operator."""
    previous_works: bool | None = None
    """Whether Makini accepts the previous token; None: not asked."""
    readers: ReadersView = ReadersView()
    stores: StoresView = StoresView()
    syncs: SyncsView = field(default_factory=SyncsView)
    egress: EgressView = EgressView()
    workloads: Mapping[RestartTarget, WorkloadView] = field(default_factory=dict)
    """Looked at only while a rotation is under way, and only up to the first that is not done."""
