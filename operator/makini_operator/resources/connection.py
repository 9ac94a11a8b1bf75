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
from makini_operator.resources.connection_status import MakiniConnectionStatus
from makini_operator.resources.sync import HealthPolicy, SyncEgress, Syncs
from makini_operator.resources.systems import Deployment, SystemName
from makini_operator.resources.token import Token
from makini_operator.resources.workflow import Workflows

CONNECTION_FINALIZER = "makini.io/disconnect"
CONNECTION_NAME_LIMIT = 52

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
