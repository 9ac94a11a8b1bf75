"""Situations for `plan`: everything is as it should be, except for what a test names."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from makini_operator.credits.ledger import Grant, Obstacle
from makini_operator.credits.queue import Notice
from makini_operator.lifecycle.actions import Plan
from makini_operator.lifecycle.observation import (
    CronJobsView,
    Observation,
    PoolView,
    RemoteView,
    SecretState,
    SecretView,
    Trouble,
)
from makini_operator.lifecycle.plan import plan
from makini_operator.resources.conditions import Condition, find
from makini_operator.resources.connection import CONNECTION_FINALIZER, MakiniConnection
from makini_operator.resources.connection_status import MakiniConnectionStatus
from makini_operator.resources.reasons import ConditionType, Reason
from makini_operator.resources.systems import Tier

NOW = datetime(2025, 3, 1, 12, 0, 0, tzinfo=UTC)
EARLIER = "2025-02-01T00:00:00Z"
LIFE = timedelta(days=30)

CLAIM = {"pool": "production", "poolUID": "pool-uid", "amount": 4, "tier": "III", "grantedAt": EARLIER}
INTENT = {"incarnation": "me", "attempt": 1, "at": EARLIER}
LATER = "2025-03-31T00:00:00Z"
TOKEN = {"secretName": "acme-makini", "issuedAt": EARLIER, "expiresAt": LATER, "rotateAt": LATER}

UNREACHABLE = Trouble(Reason.MAKINI_UNREACHABLE, "Makini does not answer", NOW + timedelta(seconds=5))
OVERDUE = Trouble(Reason.MAKINI_UNREACHABLE, "Makini did not answer", NOW - timedelta(seconds=5))
REFUSED = Trouble(Reason.CREDENTIALS_REJECTED, "Makini could not log in: mend the Secret")
ELSEWHERE = Trouble(Reason.INSTALLATION_ELSEWHERE, "belongs to another cluster")

SPEC: dict[str, Any] = {
    "poolRef": {"name": "production"},
    "system": {"name": "sap-s4hana", "deployment": "Cloud"},
    "environment": "Production",
    "customer": {"name": "Acme", "email": "it@acme.example"},
    "authorization": {"credentials": {"secretRef": {"name": "acme-login"}}},
}


def connection(
    *,
    finalizer: bool = True,
    deleting: bool = False,
    generation: int = 1,
    version: int = 1,
    status: dict[str, Any] | None = None,
    **spec: Any,
) -> MakiniConnection:
    """A connection as the API server returns it; `spec` and `status` as in YAML."""
    metadata: dict[str, Any] = {
        "name": "acme",
        "namespace": "tenant",
        "uid": "acme-uid",
        "resourceVersion": str(version),
        "generation": generation,
        "finalizers": [CONNECTION_FINALIZER] if finalizer else [],
    }
    if deleting:
        metadata["deletionTimestamp"] = "2025-03-01T11:59:00Z"
    return MakiniConnection.parse(
        {"metadata": metadata, "spec": SPEC | spec, "status": status or {"observedGeneration": -1}}
    )


def going_down(status: dict[str, Any] | None = None, *, deleting: bool = True) -> MakiniConnection:
    """A connection that is deleted, or disconnected on purpose."""
    return connection(deleting=deleting, connected=deleting, status=status)


POOL = PoolView(
    is_open=True,
    name="production",
    uid="pool-uid",
    limit=12,
    pricing=None,
    hold=False,
    is_deleting=False,
    has_sandbox=False,
    is_led=True,
    namespace_limit=None,
    notice=None,
    trouble=None,
)

NO_CRON_JOBS = CronJobsView(problems={}, are_accepted=True, to_apply=(), superseded=(), is_anything_left=False)
NOT_LISTED = RemoteView(is_complete=False, ids=(), is_recorded_absent=False)
GRANT = Grant(uid="acme-uid", resource_version="1", amount=4, tier=Tier.III)
NO_SECRET = SecretView(SecretState.ABSENT)
FOREIGN = SecretView(SecretState.FOREIGN, owner="Deployment shop")
INTACT = SecretView(SecretState.INTACT, issued_at=NOW, expires_at=NOW + LIFE)


def told(available: int, position: int = 1, obstacle: Obstacle = Obstacle.CREDITS) -> Notice:
    """What the queue said to who waits."""
    return Notice(position, available, obstacle)


def pool(**changes: Any) -> PoolView:
    return replace(POOL, **changes)


def remote(*ids: str, gone: bool = False) -> RemoteView:
    """A complete listing with these ids; `gone`: the recorded id was missing twice in a row."""
    return RemoteView(is_complete=True, ids=ids, is_recorded_absent=gone)


def secret(state: SecretState) -> SecretView:
    """Our Secret in this state."""
    return replace(INTACT, state=state)


_USUAL = Observation(
    connection=connection(),
    installation_trouble=None,
    pool=POOL,
    grant=None,
    remote=remote(),
    secret=NO_SECRET,
    adoptable=None,
    superseded_secrets=(),
    cron_jobs=NO_CRON_JOBS,
    refusals={},
    is_login_present=True,
    may_post=False,
    trouble=None,
    incarnation="me",
    endpoint="https://api.makini.io",
    metadata_digest="digest",
    metadata_at_makini="digest",
)


def observation(connection: MakiniConnection | None = None, **changes: Any) -> Observation:
    """A healthy installation, a pool that this process leads, an account that is listed and has nothing of ours."""
    return replace(_USUAL, **({"connection": connection} if connection else {}), **changes)


def planned(observed: Observation) -> Plan:
    """What `plan` says, after the record of a rotation if it begins with one."""
    decided = plan(observed, NOW)
    token = decided.status.token if decided.status else None
    if decided.actions or token is None or token.rotation is None:
        return decided
    assert decided.status is not None
    recorded = observed.connection.model_copy(update={"status": decided.status})
    return plan(replace(observed, connection=recorded), NOW)


def status_of(observed: Observation) -> MakiniConnectionStatus:
    """The status that `plan` writes in this situation."""
    status = plan(observed, NOW).status
    assert status is not None, "plan writes no status"
    return status


def shown(status: MakiniConnectionStatus) -> tuple[str, str]:
    """Progress as kstatus reads it, and the reason."""
    conditions = status.conditions or []
    reason = ready(status).reason
    if find(conditions, ConditionType.STALLED):
        return "Stalled", reason
    return "Reconciling" if find(conditions, ConditionType.RECONCILING) else "Ready", reason


def ready(status: MakiniConnectionStatus) -> Condition:
    """The condition Ready."""
    found = find(status.conditions or [], ConditionType.READY)
    assert found is not None, "there is no Ready"
    return found
