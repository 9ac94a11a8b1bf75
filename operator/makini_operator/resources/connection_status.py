"""The status of a MakiniConnection: what was found and done, and the records from which any process can go on."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from makini_operator.resources.base import Model
from makini_operator.resources.conditions import Condition
from makini_operator.resources.sync import MAX_SYNCS
from makini_operator.resources.sync_status import SyncStatus
from makini_operator.resources.systems import Tier
from makini_operator.resources.token import MAX_STORES
from makini_operator.resources.token_status import HandledRequests, TokenStatus

HISTORY_LIMIT = 5

StoreName = Annotated[str, Field(max_length=40)]


class Phase(StrEnum):
    """One word for people; programs read conditions."""

    WAITING = "Waiting"
    CONNECTING = "Connecting"
    ACTIVE = "Active"
    INACTIVE = "Inactive"
    DISCONNECTING = "Disconnecting"
    DISCONNECTED = "Disconnected"
    FAILED = "Failed"


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
