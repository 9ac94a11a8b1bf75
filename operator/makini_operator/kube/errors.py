"""What can go wrong with a call to the Kubernetes API, by what the caller has to do about it."""

from __future__ import annotations


class KubeError(Exception):
    """A call failed. `status` is the HTTP status, or None when there was no answer."""

    def __init__(
        self, message: str, *, status: int | None = None, retry_after: float | None = None, said: str = ""
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
        self.said = said or message
        """The API server's own words."""


class NotFound(KubeError):
    """There is no such object (404)."""


class Conflict(KubeError):
    """The object is not the version that the decision was made on (409): look again."""


class AlreadyExists(KubeError):
    """An object of that name exists (409 on create)."""


class Invalid(KubeError):
    """The API server refuses the object (400, 422): a bug, or an older CRD than this operator."""


class Forbidden(KubeError):
    """RBAC or an admission policy refuses it (401, 403)."""


class Gone(KubeError):
    """A paged list has expired (410): start again."""


class ReplyLost(KubeError):
    """A write was sent and its outcome is unknown: read before deciding anything."""


class Unavailable(KubeError):
    """The API server could not be reached or answered 429 or 5xx to a read, also after retries."""
