"""What `plan` can ask for. The executor has one method for each; there is no other way to have an effect."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from makini_operator.lifecycle.observation import Scheduled
from makini_operator.lifecycle.sync_view import AskedRun
from makini_operator.resources.connection_status import MakiniConnectionStatus
from makini_operator.resources.systems import Tier
from makini_operator.resources.token import TargetKind


@dataclass(frozen=True)
class AddFinalizer:
    """Keep Kubernetes from forgetting the resource before Makini has."""


@dataclass(frozen=True)
class RemoveFinalizer:
    """Let go: nothing is left at Makini."""


@dataclass(frozen=True)
class RequestCredits:
    """Stand in the pool's queue."""

    amount: int
    tier: Tier


@dataclass(frozen=True)
class Open:
    """Send exactly one POST that opens the connection."""

    amount: int


@dataclass(frozen=True)
class ListAccount:
    """Ask for a complete listing of the account that begins from now on."""


@dataclass(frozen=True)
class Close:
    """Disconnect these ids at Makini."""

    ids: tuple[str, ...]


@dataclass(frozen=True)
class SendMetadata:
    """Store the connection's metadata at Makini."""

    connection_id: str


@dataclass(frozen=True)
class PublishToken:
    """Write a token into the Secret: the one that came with the opening, else a new one."""

    connection_id: str


@dataclass(frozen=True)
class ProbePrevious:
    """Ask Makini whether the previous token still works."""

    connection_id: str


@dataclass(frozen=True)
class DropPrevious:
    """Take the previous token out of the Secret."""


@dataclass(frozen=True)
class RestartWorkload:
    """Let a workload start new pods, which read the new token."""

    kind: TargetKind
    name: str


@dataclass(frozen=True)
class ApplyReaders:
    """Let the readers of the spec get exactly the token's Secret, and nobody else by us."""


@dataclass(frozen=True)
class RemoveReaders:
    """Take that right from all readers."""


@dataclass(frozen=True)
class ApplyStore:
    """Have External Secrets Operator copy the Secret into this store of the spec, as it is now."""

    store: str


@dataclass(frozen=True)
class RemoveStore:
    """Have the copy removed that the PushSecret of this name keeps."""

    name: str


@dataclass(frozen=True)
class RepairSecret:
    """Restore everything in the Secret but the token, which is intact."""

    connection_id: str


@dataclass(frozen=True)
class DeleteSecret:
    """Remove the token's Secret, if it is ours."""

    name: str


@dataclass(frozen=True)
class TryCronJobs:
    """Try out the CronJobs of all workflows and syncs on the API server, without effect."""


@dataclass(frozen=True)
class ApplyCronJob:
    """Create the CronJob of this workflow or sync, or restore it."""

    item: Scheduled


@dataclass(frozen=True)
class DeleteCronJob:
    """Remove a CronJob of ours, and what it has started."""

    found: Scheduled


@dataclass(frozen=True)
class StartSync:
    """Start a run of a sync that somebody has asked for."""

    run: AskedRun


@dataclass(frozen=True)
class ApplyEgress:
    """Let sync pods reach what the spec says, and nothing else."""


@dataclass(frozen=True)
class RemoveEgress:
    """Remove the NetworkPolicy of sync pods."""


@dataclass(frozen=True)
class EndRuns:
    """Remove all CronJobs, Jobs and pods of ours at once."""


Action = (
    AddFinalizer
    | RemoveFinalizer
    | RequestCredits
    | Open
    | ListAccount
    | Close
    | SendMetadata
    | PublishToken
    | ProbePrevious
    | DropPrevious
    | RestartWorkload
    | ApplyReaders
    | RemoveReaders
    | ApplyStore
    | RemoveStore
    | RepairSecret
    | DeleteSecret
    | TryCronJobs
    | ApplyCronJob
    | DeleteCronJob
    | StartSync
    | ApplyEgress
    | RemoveEgress
    | EndRuns
)


@dataclass(frozen=True)
class Plan:
    """The next steps. `status` None means: leave the status as it is."""

    actions: tuple[Action, ...] = ()
    status: MakiniConnectionStatus | None = None
    requeue_after: timedelta | None = None
