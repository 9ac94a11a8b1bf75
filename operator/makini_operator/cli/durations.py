"""Durations on the command line."""

from __future__ import annotations

from datetime import timedelta

import click

from makini_operator.sync.times import parse_duration


class Duration(click.ParamType[timedelta | None]):
    """A duration such as 90d; `word` stands for none."""

    name = "duration"

    def __init__(self, word: str) -> None:
        self._word = word

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta | None:
        """Read it, or say what was expected."""
        if isinstance(value, timedelta) or value is None:
            return value
        if value == self._word:
            return None
        try:
            return parse_duration(str(value))
        except ValueError as error:
            self.fail(f"{error} (or {self._word!r})", param, ctx)
