"""Texts of others, made safe to show. What it needs is imported late: a good run does without."""

from __future__ import annotations

from collections.abc import Iterable


def clean(text: str, secrets: Iterable[str]) -> str:
    """Return a text as one bounded line in which the secrets, and pieces of them, are hidden."""
    from makini_operator.makini.redaction import Redactor  # noqa: PLC0415

    return Redactor(secrets).clean(text)
