"""MakiniConnection: one customer system, connected through Makini.

Namespaced and owned by a tenant. What costs credits (pool, system, environment, customer)
is fixed once credits are held: the rule reads `oldSelf.status`, so before that a typo can
be mended.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import ConfigDict, Field

from makini_operator.resources.base import (
    API_VERSION,
    NAME_RULE,
    Model,
    ObjectMeta,
    SecretRef,
    cel,
    rule,
)
from makini_operator.resources.conditions import Condition
from makini_operator.resources.pool import Deployment, SystemName, Tier
from makini_operator.resources.sync import MAX_SYNCS, HealthPolicy, SyncEgress, Syncs
from makini_operator.resources.sync_status import SyncStatus
from makini_operator.resources.token import MAX_STORES, Token
from makini_operator.resources.token_status import HandledRequests, TokenStatus
from makini_operator.resources.workflow import Workflows

CONNECTION_FINALIZER = "makini.io/disconnect"
CONNECTION_NAME_LIMIT = 52
HISTORY_LIMIT = 5

_FIXED = (
    "self.spec.poolRef == oldSelf.spec.poolRef && self.spec.system == oldSelf.spec.system && "
    "self.spec.environment == oldSelf.spec.environment && self.spec.customer == oldSelf.spec.customer"
)
_FIXED_RULE = (
    f"!has(oldSelf.status) || !(has(oldSelf.status.credits) || has(oldSelf.status.connectionID)) || ({_FIXED})"
)


class Environment(StrEnum):
    """Which world the connection reaches."""

    PRODUCTION = "Production"
    TEST = "Test"
    SANDBOX = "Sandbox"


class Phase(StrEnum):
    """One word for people; programs read conditions."""

    WAITING = "Waiting"
    CONNECTING = "Connecting"
    ACTIVE = "Active"
    INACTIVE = "Inactive"
    DISCONNECTING = "Disconnecting"
    DISCONNECTED = "Disconnected"
    FAILED = "Failed"


class PoolRef(Model):
    """Names a CreditPool."""

    name: str = Field(
        min_length=1, max_length=63, description="Name of the CreditPool that pays.", json_schema_extra=NAME_RULE
    )


class System(Model):
    """The customer's system."""

    name: SystemName = Field(description="What is connected, for example sap-s4hana; the pool's catalogue prices it.")
    deployment: Deployment = Field(description="Where the customer runs it: Cloud or OnPremises.")


class Customer(Model):
    """Whose system it is."""

    name: str = Field(
        min_length=1,
        max_length=100,
        description="Name of the customer, shown in Makini's dashboard.",
        json_schema_extra=cel(
            rule("self.trim() == self", "must not start or end with white space"),
            rule(r"!self.matches('[\\p{Cc}\\p{Zl}\\p{Zp}]')", "must be one line without control characters"),
        ),
    )
    email: str | None = Field(
        default=None,
        max_length=254,
        description="Contact at the customer.",
        json_schema_extra=cel(
            rule(
                r"self.matches('^[^@\\s\\p{C}]+@[^@\\s\\p{C}]+$')",
                "must be an e-mail address such as it@acme.example",
            )
        ),
    )


class CredentialsAuthorization(Model):
    """The customer's login is already known."""

    secret_ref: SecretRef = Field(
        description="Secret in this namespace whose keys (api, login, password, …) log in to the customer's system."
    )


class Authorization(Model):
    """How Makini gets into the customer's system."""

    credentials: CredentialsAuthorization = Field(description="Log in with the values of a Secret.")


StoreName = Annotated[str, Field(max_length=40)]
MetadataValue = Annotated[str, Field(max_length=256)]


class MakiniConnectionSpec(Model):
    """What the tenant decides."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            rule(
                "!has(self.token) || !has(self.token.secretName) "
                "|| self.token.secretName != self.authorization.credentials.secretRef.name",
                "token.secretName must differ from the name of the Secret with the customer's login: "
                "the operator never overwrites that one",
            )
        )
    )

    pool_ref: PoolRef = Field(description="The CreditPool that pays for this connection.")
    system: System = Field(description="The customer's system.")
    environment: Environment = Field(
        description="Production, Test (a test instance of the real system: real API, paid) "
        "or Sandbox (sample data, free)."
    )
    customer: Customer = Field(description="Whose system it is.")
    priority: int | None = Field(
        default=None,
        ge=-1000,
        le=1000,
        description="Place in the pool's queue when credits are short: higher is served first. Default: 0. "
        "It takes nothing from those who hold credits already.",
        json_schema_extra={"format": "int32"},
    )
    authorization: Authorization = Field(description="How Makini gets into the customer's system.")
    metadata: dict[str, MetadataValue] | None = Field(
        default=None,
        max_length=16,
        description="Free key-value pairs stored with the connection at Makini (user_metadata).",
        json_schema_extra=cel(
            rule(
                "self.all(k, k.size() <= 64 && k.matches('^[A-Za-z0-9][A-Za-z0-9_.-]*$'))",
                "metadata must have keys of at most 64 letters, digits, '_', '.' and '-'",
            ),
            rule(
                "self.all(k, !k.startsWith('makini.io') && k != 'kubernetes')",
                "metadata must not use the keys 'kubernetes' and 'makini.io…': the operator writes those",
            ),
        ),
    )
    connected: bool = Field(
        default=True,
        description="false disconnects: the token dies, the credits return, the resource stays. "
        "true again opens a new connection with a new token.",
    )
    suspend: bool = Field(
        default=False,
        description="true pauses syncs, workflows and the token's renewal, unless it is about to expire; "
        "credits, connection and token stay.",
    )
    token: Token | None = Field(default=None, description="Where the API token is published.")
    syncs: Syncs | None = Field(
        default=None,
        description="Records that are copied into a database, bucket or volume of yours on a schedule. "
        "The disconnect ends a run at once; what was copied stays.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    sync_egress: SyncEgress | None = Field(
        default=None,
        description="Networks that the pods of syncs may reach, besides DNS; nothing else, and nobody reaches them: a "
        "NetworkPolicy, where the cluster's network enforces it. Absent: no policy.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["cidr"]},
    )
    health_policy: HealthPolicy | None = Field(default=None, description="What counts for Ready.")
    workflows: Workflows | None = Field(
        default=None,
        description="Containers of your own that run on a schedule with this connection's token. "
        "The disconnect ends them at once.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )


class Claim(Model):
    """Credits that are this connection's: present means held. Never re-priced."""

    pool: str = Field(max_length=63, description="Name of the pool that granted them.")
    pool_uid: str = Field(alias="poolUID", max_length=64, description="uid of that pool.")
    amount: int = Field(description="Credits held.", json_schema_extra={"format": "int32"})
    tier: Tier = Field(description="Tier they were priced at.")
    granted_at: str = Field(
        max_length=40, description="When they were granted.", json_schema_extra={"format": "date-time"}
    )


class Waiting(Model):
    """Why no credits are held yet."""

    need: int = Field(description="Credits needed.", json_schema_extra={"format": "int32"})
    available: int = Field(
        description="Credits that the pool had left when that was last said.", json_schema_extra={"format": "int32"}
    )
    position: int | None = Field(
        default=None,
        description="Place in the queue: exact up to 10, beyond that rounded up to 20, 50, 100, 200, …",
        json_schema_extra={"format": "int32"},
    )
    reason: str | None = Field(default=None, max_length=64, description="What exactly is waited for.")


class Intent(Model):
    """A connection is being opened at Makini and the outcome is not recorded yet."""

    incarnation: str = Field(max_length=64, description="Process that intends it.")
    attempt: int = Field(description="Counts attempts.", json_schema_extra={"format": "int32"})
    at: str = Field(max_length=40, description="When.", json_schema_extra={"format": "date-time"})


class HistoryEntry(Model):
    """A connection that this resource had."""

    connection_id: str | None = Field(
        default=None, alias="connectionID", max_length=128, description="Its id at Makini."
    )
    connected_at: str | None = Field(
        default=None, max_length=40, description="When it was opened.", json_schema_extra={"format": "date-time"}
    )
    disconnected_at: str = Field(
        max_length=40, description="When its end was confirmed.", json_schema_extra={"format": "date-time"}
    )
    reason: str = Field(max_length=64, description="Why it ended.")


class MakiniConnectionStatus(Model):
    """What the operator found and did."""

    observed_generation: int | None = Field(
        default=None, description="The generation that this status describes.", json_schema_extra={"format": "int64"}
    )
    phase: Phase | None = Field(default=None, description="One word for people; programs read conditions.")
    conditions: Annotated[list[Condition], Field(max_length=16)] | None = Field(
        default=None,
        description="Ready, and what stands behind it.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    connection_id: str | None = Field(
        default=None, alias="connectionID", max_length=128, description="Id of the connection at Makini."
    )
    endpoint: str | None = Field(default=None, max_length=512, description="Base URL that the token is good for.")
    connected_at: str | None = Field(
        default=None, max_length=40, description="When it was opened.", json_schema_extra={"format": "date-time"}
    )
    credits: Claim | None = Field(
        default=None, description="The credits held: present means they are this connection's."
    )
    waiting: Waiting | None = Field(default=None, description="Present while the connection waits for credits.")
    intent: Intent | None = Field(default=None, description="Present while an opening at Makini is not recorded yet.")
    touched_by: str | None = Field(
        default=None,
        max_length=64,
        description="Operator process that took over last; changing it makes a late write of an earlier one fail.",
    )
    adopted: str | None = Field(
        default=None,
        max_length=16,
        description="Tag in the marker of the connection at Makini, if it was found again after a restore from a "
        "backup: it was opened for the resource that this one replaces.",
    )
    metadata_digest: str | None = Field(
        default=None,
        max_length=64,
        description="Digest of the metadata that Makini has; differs when it must be sent again.",
    )
    token: TokenStatus | None = Field(default=None, description="The published token's life; never the token.")
    stores: Annotated[list[StoreName], Field(max_length=MAX_STORES * 2)] | None = Field(
        default=None,
        description="Stores of spec.token.stores that may hold a copy of the token: recorded before it is copied.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    syncs: Annotated[list[SyncStatus], Field(max_length=MAX_SYNCS)] | None = Field(
        default=None,
        description="How the last run of each sync ended.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    revocation: str | None = Field(
        default=None,
        max_length=64,
        description="Value of makini.io/revoke-requested-at, while the connection is closed and opened again for it.",
    )
    closing: str | None = Field(
        default=None,
        max_length=128,
        description="The connectionID, from before Makini is asked to end it as spec.connected says until its end is "
        "confirmed. A disconnect that has begun is not taken back.",
    )
    handled: HandledRequests | None = Field(default=None, description="Request annotations that were acted on.")
    history: Annotated[list[HistoryEntry], Field(max_length=HISTORY_LIMIT)] | None = Field(
        default=None,
        description="The last five connections that ended, newest first.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )

    @property
    def is_closing(self) -> bool:
        """Whether the recorded connection's end, as `spec.connected` asked for it, is not confirmed yet."""
        return self.closing is not None and self.closing == self.connection_id


class MakiniConnection(Model):
    """One customer system, connected through Makini."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            rule(
                f"self.metadata.name.size() <= {CONNECTION_NAME_LIMIT}",
                f"metadata.name: at most {CONNECTION_NAME_LIMIT} characters, because child objects get longer names",
            ),
            rule(
                _FIXED_RULE,
                "spec.poolRef, system, environment and customer are fixed while the connection holds credits: "
                "set connected: false first and wait for Disconnected, or create another one and delete this",
            ),
        )
    )

    api_version: str = API_VERSION
    kind: str = "MakiniConnection"
    metadata: ObjectMeta
    spec: MakiniConnectionSpec = Field(description="What the tenant decides.")
    status: MakiniConnectionStatus = Field(
        default_factory=MakiniConnectionStatus, description="What the operator found and did."
    )

    @classmethod
    def parse(cls, obj: object) -> Self:
        """Read an object as the API server returns it; raises `pydantic.ValidationError` if it is not one."""
        return cls.model_validate(obj)

    @property
    def secret_name(self) -> str:
        """Name of the Secret that receives the token."""
        named = self.spec.token.secret_name if self.spec.token else None
        return named or f"{self.metadata.name}-makini"
