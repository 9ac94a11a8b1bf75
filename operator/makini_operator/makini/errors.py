"""What can go wrong when talking to Makini, sorted by what the caller may conclude.

Makini has no idempotency keys, and opening a connection costs credits. So the one question that matters after a
failed write is: *may it have happened?* Every error answers it in `certainly_no_effect`. Only `OutcomeUnknown` says
no; it is raised for a write whose reply was lost or makes no sense, and the caller must look (list by marker) before
it writes again.

The texts here never contain a secret: whatever came from the server passed `redaction.Redactor` first, and no error
keeps a reference to an exception of the HTTP library (those can hold headers and URLs).
"""

from typing import ClassVar


class MakiniError(Exception):
    """A call to Makini that gave no usable answer; the base of every error of this package.

    Attributes:
        status: HTTP status, or None when there was no reply.
        code: Makini's machine-readable code, or one of ours; empty when there is none.
        request_id: Makini's own id of the request, for its support; empty when there is none.
        retry_after: seconds to wait before asking again, when known.
    """

    _no_effect: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str = "",
        request_id: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.request_id = request_id
        self.retry_after = retry_after

    @property
    def certainly_no_effect(self) -> bool:
        """True when the request cannot have changed anything at Makini."""
        return self._no_effect


class Unreachable(MakiniError):
    """Nothing reached the server: refused, no such name, TLS failed, or no connection within the connect time-out."""

    _no_effect = True


class OutcomeUnknown(MakiniError):
    """A write was sent and its reply is lost or not the API's: it may have happened."""


class ServerFault(MakiniError):
    """A read failed on the other side: 5xx, a broken connection, or an answer that is not the API's."""

    _no_effect = True


class IncompleteListing(ServerFault):
    """A listing that could not be proven complete. Nothing may be concluded from what is missing in it."""


class RateLimited(MakiniError):
    """Too many requests, said by Makini (429) or by our own budget before anything was sent."""

    _no_effect = True


class Unauthenticated(MakiniError):
    """The token, or the client id and secret, are not accepted (401)."""

    _no_effect = True


class Forbidden(MakiniError):
    """The token is good and may not do this (403)."""

    _no_effect = True


class NotFound(MakiniError):
    """A 404 in the API's own error shape. A gateway's 404 is a fault instead: it says nothing about the connection."""

    _no_effect = True


class Rejected(MakiniError):
    """Makini read the request and refuses it as it is (400, 409, 422, in its own error shape)."""

    _no_effect = True
