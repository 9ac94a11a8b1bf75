"""The closed vocabulary of conditions: every type and every reason that a status can show.

A reason is an API: people alert and script on it. So they stand in one enum, each is
documented in `docs/reasons.md` (a test compares), and a status cannot carry another.
"""

from __future__ import annotations

from enum import StrEnum


class ConditionType(StrEnum):
    """Condition types of both resources; `Reconciling` and `Stalled` exist only while True, as kstatus reads them."""

    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    CREDITS_HELD = "CreditsHeld"
    CONNECTED = "Connected"
    TOKEN_READY = "TokenReady"  # noqa: S105 - the name of a condition
    SYNCS_HEALTHY = "SyncsHealthy"
    ACCOUNT_REACHABLE = "AccountReachable"
    EXHAUSTED = "Exhausted"
    OVERCOMMITTED = "Overcommitted"
    IN_USE = "InUse"


class Reason(StrEnum):
    """Why a condition stands as it does."""

    # a connection's life
    CONNECTED = "Connected"
    CONNECTING = "Connecting"
    DISCONNECTED = "Disconnected"
    DISCONNECTING = "Disconnecting"
    DISCONNECTED_REMOTELY = "DisconnectedRemotely"
    NOT_CONNECTED = "NotConnected"
    # credits
    CREDITS_GRANTED = "CreditsGranted"
    CREDITS_RETURNED = "CreditsReturned"
    WAITING_FOR_CREDITS = "WaitingForCredits"
    WAITING_IN_LINE = "WaitingInLine"
    NAMESPACE_LIMIT_REACHED = "NamespaceLimitReached"
    EXCEEDS_NAMESPACE_LIMIT = "ExceedsNamespaceLimit"
    NAMESPACE_NOT_ALLOWED = "NamespaceNotAllowed"
    POOL_ON_HOLD = "PoolOnHold"
    POOL_NOT_FOUND = "PoolNotFound"
    POOL_NOT_READY = "PoolNotReady"
    POOL_DELETING = "PoolDeleting"
    EXCEEDS_POOL = "ExceedsPool"
    # what the spec asks for
    UNKNOWN_SYSTEM = "UnknownSystem"
    DEPLOYMENT_NOT_OFFERED = "DeploymentNotOffered"
    NO_SANDBOX_ACCOUNT = "NoSandboxAccount"
    LOGIN_SECRET_NOT_FOUND = "LoginSecretNotFound"  # noqa: S105 - a reason, not a secret
    CREDENTIALS_REJECTED = "CredentialsRejected"
    REQUEST_REJECTED = "RequestRejected"
    # the token
    TOKEN_PUBLISHED = "TokenPublished"  # noqa: S105 - a reason, not a token
    TOKEN_PENDING = "TokenPending"  # noqa: S105 - a reason, not a token
    TOKEN_REMOVED = "TokenRemoved"  # noqa: S105 - a reason, not a token
    TOKEN_ROTATING = "TokenRotating"  # noqa: S105 - a reason, not a token
    TOKEN_ROTATED = "TokenRotated"  # noqa: S105 - a reason, not a token
    TOKEN_REVOKING = "TokenRevoking"  # noqa: S105 - a reason, not a token
    TOKEN_REVOKED = "TokenRevoked"  # noqa: S105 - a reason, not a token
    TOKEN_SHORT_LIVED = "TokenShortLived"  # noqa: S105 - a reason, not a token
    PREVIOUS_TOKEN_ENDED = "PreviousTokenEnded"  # noqa: S105 - a reason, not a token
    ROLLOUT_STUCK = "RolloutStuck"
    READERS_REFUSED = "ReadersRefused"
    STORES_NOT_SERVED = "StoresNotServed"
    STORE_NOT_READY = "StoreNotReady"
    STORE_REFUSED = "StoreRefused"
    SECRET_CONFLICT = "SecretConflict"  # noqa: S105 - a reason, not a secret
    SECRET_REFUSED = "SecretRefused"  # noqa: S105 - a reason, not a secret
    # its syncs
    SYNC_REFUSED = "SyncRefused"
    SYNC_FAILED = "SyncFailed"
    SYNC_SUCCEEDED = "SyncSucceeded"
    SYNC_PENDING = "SyncPending"
    SYNC_NOT_STARTED = "SyncNotStarted"
    # its workflows
    WORKFLOW_REFUSED = "WorkflowRefused"
    # Makini and its account
    MARKER_LOST = "MarkerLost"
    MAKINI_UNREACHABLE = "MakiniUnreachable"
    MAKINI_RATE_LIMITED = "MakiniRateLimited"
    ACCOUNT_REACHABLE = "AccountReachable"
    ACCOUNT_CREDENTIALS_NOT_FOUND = "AccountCredentialsNotFound"
    ACCOUNT_CREDENTIALS_REFUSED = "AccountCredentialsRefused"
    INVALID_ACCOUNT_URL = "InvalidAccountURL"
    ACCOUNT_CHANGED = "AccountChanged"
    INSTALLATION_ELSEWHERE = "InstallationElsewhere"
    # a pool
    POOL_READY = "PoolReady"
    TAKING_OVER = "TakingOver"
    CREDITS_AVAILABLE = "CreditsAvailable"
    CREDITS_EXHAUSTED = "CreditsExhausted"
    WITHIN_LIMIT = "WithinLimit"
    HELD_ABOVE_LIMIT = "HeldAboveLimit"
    CLAIMS_EXIST = "ClaimsExist"
    NO_CLAIMS = "NoClaims"
