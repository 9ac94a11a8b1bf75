"""CreditPool: the company's connection credits, and the Makini account they belong to.

Cluster-scoped and owned by the platform admin. The pool decides prices: a tenant names
only the system, because a tenant who could state its own tier could book fewer credits
than Makini bills.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Self

from pydantic import ConfigDict, Field

from makini_operator.resources.base import API_VERSION, Model, ObjectMeta, SecretRef, cel, discreet, rule
from makini_operator.resources.pool_status import CreditPoolStatus
from makini_operator.resources.pricing import Pricing
from makini_operator.resources.selector import LabelSelector

POOL_FINALIZER = "makini.io/in-use"
DEFAULT_ACCOUNT_URL = "https://api.makini.io"
MAX_CREDITS = 1_000_000

_LOCAL = "['localhost', '127.0.0.1', '::1'].exists(h, url(self).getHostname() == h)"
_IN_CLUSTER = "url(self).getHostname().endsWith('.svc') || url(self).getHostname().endsWith('.svc.cluster.local')"

AccountURL = Annotated[
    str,
    Field(
        max_length=512,
        json_schema_extra=cel(
            discreet(
                f"isURL(self) && (url(self).getScheme() == 'https' || "
                f"(url(self).getScheme() == 'http' && ({_LOCAL} || {_IN_CLUSTER})))",
                "must be an https:// URL such as https://api.makini.io "
                "(plain http:// only for localhost and for Services named *.svc)",
            ),
            discreet(
                "!self.contains('@') && !self.contains('?') && !self.contains('#')",
                "must not contain a user, a query or a fragment: credentials belong in the Secret "
                "that credentialsSecretRef names",
            ),
        ),
    ),
]


class SandboxAccount(Model):
    """The account that connections with `environment: Sandbox` use."""

    url: AccountURL = Field(description="Base URL of the sandbox's API.")
    credentials_secret_ref: SecretRef = Field(
        description="Secret in the operator's namespace with the keys client_id and client_secret."
    )


class Account(Model):
    """The Makini account whose credits this pool hands out."""

    url: AccountURL | None = Field(
        default=None,
        description=f"Base URL of Makini's API. Default: {DEFAULT_ACCOUNT_URL}. "
        "https, except for localhost and Services named *.svc.",
    )
    credentials_secret_ref: SecretRef = Field(
        description="Secret in the operator's namespace with the keys client_id and client_secret."
    )
    sandbox: SandboxAccount | None = Field(
        default=None,
        description="Account for connections with environment Sandbox. Absent: such connections are refused.",
    )

    @property
    def effective_url(self) -> str:
        """The URL in force: what the spec says, else Makini's."""
        return self.url or DEFAULT_ACCOUNT_URL


class Strategy(StrEnum):
    """Who is served when credits are short, in Kueue's words."""

    BEST_EFFORT_FIFO = "BestEffortFIFO"
    STRICT_FIFO = "StrictFIFO"


class Overage(Model):
    """Credits beyond what was bought, if the Makini plan allows that."""

    limit: int = Field(
        ge=1,
        le=MAX_CREDITS,
        description="Credits that may be held beyond spec.credits. Makini bills them as overage.",
        json_schema_extra={"format": "int32"},
    )


class Access(Model):
    """Who may use the pool, and how much of it."""

    namespace_selector: LabelSelector | None = Field(
        default=None,
        description="Labels of the namespaces whose connections may use this pool. Absent: every namespace may. "
        "Those that hold credits already keep them.",
    )
    max_credits_per_namespace: int | None = Field(
        default=None,
        ge=1,
        le=MAX_CREDITS,
        description="Credits that the connections of one namespace may hold together. Absent: no limit. "
        "Lowering it takes nothing away.",
        json_schema_extra={"format": "int32"},
    )


class Queueing(Model):
    """Who is served next."""

    strategy: Strategy = Field(
        description="BestEffortFIFO (the default): whoever fits may pass those who do not. "
        "StrictFIFO: nobody overtakes, even if credits lie idle meanwhile."
    )


class CreditPoolSpec(Model):
    """What the platform admin decides."""

    credits: int = Field(
        ge=0,
        le=MAX_CREDITS,
        description="Connection credits that this pool may hand out: its share of what the account has bought. "
        "Lowering it below what is held takes nothing away and grants nothing new.",
        json_schema_extra={"format": "int32"},
    )
    overage: Overage | None = Field(
        default=None, description="How far the pool may go beyond spec.credits. Absent: not at all."
    )
    account: Account = Field(description="The Makini account whose credits these are.")
    access: Access | None = Field(default=None, description="Which namespaces may use it. Absent: all may.")
    queueing: Queueing | None = Field(default=None, description="Who is served next when credits are short.")
    pricing: Pricing | None = Field(default=None, description="Prices of this pool. Absent: Makini's published scheme.")
    hold: bool = Field(default=False, description="true keeps what is granted and grants nothing new.")

    @property
    def limit(self) -> int:
        """Credits that may be held at most: those bought, and the overage that is allowed."""
        return self.credits + (self.overage.limit if self.overage else 0)

    @property
    def namespace_limit(self) -> int | None:
        """Credits that one namespace may hold; None: as many as the pool has."""
        return self.access.max_credits_per_namespace if self.access else None

    def is_open_to(self, namespace_labels: Mapping[str, str]) -> bool:
        """Whether connections of a namespace with these labels may use the pool."""
        selector = self.access.namespace_selector if self.access else None
        return selector is None or selector.matches(namespace_labels)

    @property
    def strategy(self) -> Strategy:
        """The queueing strategy in force."""
        return self.queueing.strategy if self.queueing else Strategy.BEST_EFFORT_FIFO


class CreditPool(Model):
    """The company's connection credits, and the Makini account they belong to."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            rule("self.metadata.name.size() <= 63", "metadata.name: at most 63 characters"),
        )
    )

    api_version: str = API_VERSION
    kind: str = "CreditPool"
    metadata: ObjectMeta
    spec: CreditPoolSpec = Field(description="What the platform admin decides.")
    status: CreditPoolStatus = Field(default_factory=CreditPoolStatus, description="What the operator found and did.")

    @classmethod
    def parse(cls, obj: object) -> Self:
        """Read an object as the API server returns it; raises `pydantic.ValidationError` if it is not one."""
        return cls.model_validate(obj)
