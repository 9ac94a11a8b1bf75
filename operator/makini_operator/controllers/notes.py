"""What this process remembers of each connection between two steps; all of it may be lost at any moment.

An intent that it has just recorded and may act on once, a token that came with an opening and
is not published yet, how the last attempt at Makini failed, and what the API server has refused.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from makini_operator.controllers.accounts import CredentialsMissing, trouble_of
from makini_operator.controllers.workqueue import backoff
from makini_operator.lifecycle.observation import Trouble
from makini_operator.lifecycle.sync_view import AskedRun
from makini_operator.makini import ConnectionToken, MakiniError, OutcomeUnknown
from makini_operator.manifests.secret import SecretRecord
from makini_operator.resources.connection import MakiniConnection
from makini_operator.resources.reasons import Reason

REFUSAL_RETRY = timedelta(seconds=15)
"""How soon to try again what the API server has refused: a policy or a quota may have changed."""
FIRST_RETRY, LONGEST_RETRY = timedelta(seconds=1), timedelta(minutes=2)


class ChildRefused(Exception):
    """The API server does not take a child object, or does not give it up; the message is for the user."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class HeldToken:
    """A minted token that is not in its Secret yet."""

    connection_id: str
    token: ConnectionToken = field(repr=False)
    issued_at: datetime
    attempt: int = 0


@dataclass
class Note:
    """What is remembered of one connection."""

    fresh_attempt: int | None = None
    held: HeldToken | None = None
    trouble: Trouble | None = None
    failures: int = 0
    concerns: tuple[int, bool] = (0, False)
    login_version: str = ""
    metadata_sent: tuple[str, str] | None = None
    """Connection id, and digest of the metadata that was sent for it."""
    accepted_cron_jobs: str = ""
    """Digest of the CronJobs that the API server has accepted in a dry run."""
    started_syncs: set[AskedRun] = field(default_factory=set)
    """Runs that were started because somebody asked for them, while they are asked for."""
    closing_unkept: bool = False
    """The API server has dropped `status.closing`: its definition is older."""
    last_words: dict[str, tuple[str, str]] = field(default_factory=dict)
    """By sync: uid of its last run's Job, and what its pod said."""
    without_runs: tuple[int, bool] | None = None
    """When runs of workflows were last looked for in vain: generation, and whether it was being deleted."""
    secret_read: tuple[str, SecretRecord | None] | None = None
    """In this reconcile: what bears the token Secret's name and is not ours."""
    login_read: tuple[str, bool] | None = None
    """In this reconcile: name of the login Secret, and whether it has data."""
    probed: tuple[str | None, int, bool] | None = None
    """Connection id, number of its token, and whether the token before that one still worked."""
    refused_in: tuple[int, bool] = (0, False)
    refusals: dict[Reason, Trouble] = field(default_factory=dict)

    def begin(self) -> None:
        """A reconcile begins: what others own is read anew."""
        self.secret_read = self.login_read = None

    def trouble_for(self, connection: MakiniConnection) -> Trouble | None:
        """How the last attempt failed; a changed spec or a deletion is a new beginning."""
        return self.trouble if self.concerns == _situation(connection) else None

    def succeeded(self) -> None:
        """An effect at Makini worked: start again with short pauses."""
        self.trouble, self.failures = None, 0

    def failed(self, connection: MakiniConnection, error: MakiniError | CredentialsMissing) -> None:
        """An attempt at Makini failed; the next one waits longer, or as long as Makini asks."""
        if self.concerns != _situation(connection):
            self.failures = 0
        self.concerns = _situation(connection)
        self.failures += 1
        first = timedelta(milliseconds=200) if isinstance(error, OutcomeUnknown) else FIRST_RETRY
        pause = backoff(self.failures, first=first, longest=LONGEST_RETRY)
        self.trouble = trouble_of(error, now=datetime.now(UTC), pause=pause)

    def refused(self, connection: MakiniConnection, trouble: Trouble, *, login_version: str) -> None:
        """Makini refused what the user asked for: only a change helps."""
        self.concerns, self.trouble, self.login_version = _situation(connection), trouble, login_version

    def child_refused(self, connection: MakiniConnection, error: ChildRefused) -> None:
        """The API server refused a child; a changed spec is tried at once, anything else a little later."""
        if self.refused_in != _situation(connection):
            self.refusals = {}
        self.refused_in = _situation(connection)
        self.refusals[error.reason] = Trouble(error.reason, str(error), datetime.now(UTC) + REFUSAL_RETRY)

    def refusals_for(self, connection: MakiniConnection) -> dict[Reason, Trouble]:
        """What the API server has refused for this spec."""
        return dict(self.refusals) if self.refused_in == _situation(connection) else {}

    def previous_works(self, connection_id: str | None, attempt: int) -> bool | None:
        """Whether the token before this one was accepted when Makini was asked; None: it was not asked."""
        return self.probed[2] if self.probed and self.probed[:2] == (connection_id, attempt) else None

    def run_said(self, sync: str, job_uid: str) -> str | None:
        """What the pod of this run of a sync said; None: it was not asked."""
        uid, words = self.last_words.get(sync, ("", ""))
        return words if uid == job_uid else None

    def run_heard(self, sync: str, job_uid: str, words: str) -> None:
        """The pod of the last run of a sync was asked."""
        self.last_words[sync] = (job_uid, words)

    def forget_runs(self, syncs: Collection[str]) -> None:
        """Only these syncs are in the spec."""
        self.last_words = {name: said for name, said in self.last_words.items() if name in syncs}

    def no_runs(self, connection: MakiniConnection) -> None:
        """Runs were looked for in this situation, and there were none."""
        self.without_runs = _situation(connection)

    def had_no_runs(self, connection: MakiniConnection) -> bool:
        """Whether runs were looked for in vain since the spec, or the wish to delete it, has changed."""
        return self.without_runs == _situation(connection)

    def login_seen(self, version: str) -> None:
        """The login Secret was looked at; a new version of it is worth a new attempt."""
        if self.login_version and version != self.login_version:
            self.trouble, self.login_version = None, ""


def _situation(connection: MakiniConnection) -> tuple[int, bool]:
    return connection.metadata.generation, connection.metadata.is_deleting
