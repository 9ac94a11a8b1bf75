"""What status says of a connection's token, and the records that let another process go on with a rotation."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from makini_operator.resources.base import Model


class Previous(StrEnum):
    """What Makini did with the token before when a new one was made."""

    WORKS = "Works"
    ENDED = "Ended"


class Why(StrEnum):
    """What a rotation is for."""

    DUE = "Due"
    REQUESTED = "Requested"
    LOST = "Lost"
    REVOKED = "Revoked"


class RotationProgress(Model):
    """A rotation under way; recorded before anything is done, so that another process can go on."""

    attempt: int = Field(
        description="Counts the tokens of this connection; the Secret says which it has.",
        json_schema_extra={"format": "int32"},
    )
    reason: Why = Field(description="Due, Requested, Lost (the Secret was deleted or its token edited), or Revoked.")
    started_at: str = Field(max_length=40, description="When it began.", json_schema_extra={"format": "date-time"})
    previous: Previous | None = Field(
        default=None, description="Works: Makini still accepts the token before; Ended: it ended with the new one."
    )


class TokenStatus(Model):
    """The published token; never the token itself."""

    secret_name: str = Field(max_length=253, description="Secret that holds it.")
    attempt: int | None = Field(
        default=None,
        description="Which of this connection's tokens it is; absent: the first.",
        json_schema_extra={"format": "int32"},
    )
    issued_at: str = Field(max_length=40, description="When it was minted.", json_schema_extra={"format": "date-time"})
    expires_at: str = Field(max_length=40, description="When it expires.", json_schema_extra={"format": "date-time"})
    rotate_at: str = Field(
        max_length=40, description="When the next one is minted.", json_schema_extra={"format": "date-time"}
    )
    previous_expires_at: str | None = Field(
        default=None,
        max_length=40,
        description="While the Secret holds a previous token: when that one expires.",
        json_schema_extra={"format": "date-time"},
    )
    rotation: RotationProgress | None = Field(default=None, description="Present while a rotation is under way.")


class HandledRequests(Model):
    """The request annotations that were acted on, so that each is acted on once."""

    rotate_at: str | None = Field(
        default=None, max_length=64, description="Value of makini.io/rotate-requested-at that was acted on last."
    )
    revoke_at: str | None = Field(
        default=None, max_length=64, description="Value of makini.io/revoke-requested-at that was acted on last."
    )
    sync_at: str | None = Field(
        default=None, max_length=64, description="Value of makini.io/sync-requested-at that was acted on last."
    )
    full_sync_at: str | None = Field(
        default=None, max_length=64, description="Value of makini.io/full-sync-requested-at that was acted on last."
    )
    accept_gone_at: str | None = Field(
        default=None, max_length=64, description="Value of makini.io/accept-gone-requested-at that was acted on last."
    )
