"""Why a sync fails, each kind with the exit code and the one-word reason that the operator can put into a status."""

from __future__ import annotations


class SyncError(Exception):
    """A run that did not do all it was asked to; its text says what was found and what to do, without secrets."""

    reason = "Failed"
    exit_code = 1
    is_for_all = False  # True: no other entity of the run can do better


class BadSettings(SyncError):
    """What was asked for cannot be done; the same again fails again."""

    reason = "BadSettings"
    exit_code = 2
    is_for_all = True


class Locked(SyncError):
    """Another run works on the dataset."""

    reason = "Locked"
    exit_code = 3
    is_for_all = True


class LockLost(Locked):
    """The lock of this run is gone; another run may be at work."""

    reason = "LockLost"


class TokenRefused(SyncError):
    """Makini does not accept the token, also not after it was read again."""

    reason = "TokenRefused"
    exit_code = 4
    is_for_all = True


class DestinationFailed(SyncError):
    """The destination cannot be reached or does not hold what was loaded."""

    reason = "DestinationFailed"
    exit_code = 5


class SourceUnavailable(SyncError):
    """Makini does not answer, or only with errors, also after repeated requests."""

    reason = "SourceUnavailable"


class NotWhole(SyncError):
    """What Makini sent is not what its envelope promises, or it cannot be proven that everything was seen."""

    reason = "NotWhole"


class TooManyGone(SyncError):
    """So many records would be marked as gone that the listing is doubted rather than the history."""

    reason = "TooManyGone"


class Terminated(SyncError):
    """The process was told to end."""

    reason = "Terminated"
    exit_code = 143
    is_for_all = True


def missing_extra(name: str | None) -> BadSettings:
    """Return the error for a library of the extra `sync` that is not installed."""
    library = (name or "a library").partition(".")[0]
    return BadSettings(f"{library} is missing: pip install 'makini-operator[sync]'")
