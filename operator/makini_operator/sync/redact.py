"""Texts of others, made safe to show. What it needs is imported late: a good run does without."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterable


def clean(text: str, secrets: Iterable[str]) -> str:
    """Return a text as one bounded line in which the secrets, and pieces of them, are hidden."""
    from makini_operator.redaction import Redactor  # noqa: PLC0415

    return Redactor(secrets).clean(text)


def log_unexpected(logger: logging.Logger, what: str, error: BaseException) -> None:
    """Log where an error came from that nobody foresaw, and where its causes did.

    Not what they say: a library's text may repeat a value that came from a Secret, whole, in part or escaped.
    """
    seen: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in seen:
        seen.append(cause)
        cause = cause.__cause__ or cause.__context__
    where = "".join(f"{type(one).__name__} at\n{''.join(traceback.format_tb(one.__traceback__))}" for one in seen)
    logger.error("%s: unexpected %s", what, where)
