"""What a list is asked for: filters, their match, the order. From text to a value that can be compared and cached.

The words are the vendor's (`filter[field:op]=value`, `filterMatch=any|all`, `sort[field]=1|0`); parameters that are
none of them are ignored, as its framework does. What it does with a field or an operator that does not exist is not
known: here that is an error, because a filter that is silently ignored hides mistakes of the one who wrote it.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from makini_operator.sandbox.entities.model import Field, Kind, Shape
from makini_operator.sandbox.problems import bad_request

_FILTER = re.compile(r"filter\[([^\]:]*)(?::([^\]]*))?\]$")
_SORT = re.compile(r"sort\[([^\]]*)\]$")
_MAX_CONDITIONS = 20
_MAX_DIGITS = 40
_EMBEDDED = (Kind.PART, Kind.PARTS, Kind.RECORD, Kind.RECORDS)
OPERATORS = ("contains", "startsWith", "gt", "gteq", "lt", "lted")


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One filter. `value` is a text, a Decimal or a bool, as the field's kind wants it; `op` is "" for equality."""

    field: str
    kind: Kind
    op: str
    value: Any

    def holds(self, actual: Any) -> bool:
        """Tell whether a field's value passes."""
        if actual is None:
            return self.op == "" and self.value == ""
        if isinstance(actual, list | tuple):
            return any(self.holds(item) for item in actual)
        return _COMPARE[self.op](_comparable(actual, self.kind), self.value)


@dataclass(frozen=True, kw_only=True)
class Query:
    """What a list is asked for. `sort` is (field, descending), or None for the usual order."""

    conditions: tuple[Condition, ...] = ()
    any_of: bool = False
    sort: tuple[str, bool] | None = None


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "": lambda actual, value: bool(actual == value),
    "contains": lambda actual, value: str(value).casefold() in str(actual).casefold(),
    "startsWith": lambda actual, value: str(actual).casefold().startswith(str(value).casefold()),
    "gt": lambda actual, value: bool(actual > value),
    "gteq": lambda actual, value: bool(actual >= value),
    "lt": lambda actual, value: bool(actual < value),
    "lted": lambda actual, value: bool(actual <= value),
}


def parse(parameters: Iterable[tuple[str, str]], shape: Shape) -> Query:
    """Return the query of these parameters.

    Raises:
        ApiError: (400) a field or an operator that does not exist, or a value that the field cannot have.
    """
    conditions: list[Condition] = []
    any_of, sort = False, None
    for name, value in parameters:
        if (match := _FILTER.match(name)) is not None:
            conditions.append(_condition(_known(match[1], shape), match[2] or "", value))
        elif (match := _SORT.match(name)) is not None:
            sort = sort or (_known(match[1], shape).name, _is_descending(value))
        elif name == "filterMatch":
            any_of = _is_any(value)
    if len(conditions) > _MAX_CONDITIONS:
        raise bad_request("INVALID_PARAMETER", f"at most {_MAX_CONDITIONS} filters")
    return Query(conditions=tuple(conditions), any_of=any_of, sort=sort)


def _known(name: str, shape: Shape) -> Field:
    field = shape.field(name)
    if field is None or field.kind in _EMBEDDED:
        names = ", ".join(one.name for one in shape.fields if one.kind not in _EMBEDDED)
        raise bad_request("INVALID_PARAMETER", f"no such field to filter or sort by; there are: {names}")
    return field


def _is_descending(value: str) -> bool:
    if value not in ("0", "1"):
        raise bad_request("INVALID_PARAMETER", "sort[field] is 1 for descending or 0 for ascending")
    return value == "1"


def _is_any(value: str) -> bool:
    if value not in ("any", "all"):
        raise bad_request("INVALID_PARAMETER", "filterMatch is any or all")
    return value == "any"


def _condition(field: Field, op: str, value: str) -> Condition:
    if op not in _COMPARE:
        raise bad_request("INVALID_PARAMETER", f"no such operator; there are: {', '.join(OPERATORS)}")
    if value == "" or op in ("contains", "startsWith"):
        return Condition(field=field.name, kind=Kind.TEXT, op=op, value=value)
    try:
        return Condition(field=field.name, kind=field.kind, op=op, value=_parsed(value, field.kind))
    except (KeyError, ValueError, InvalidOperation, OverflowError):
        what = {Kind.TIME: "a date or a moment (2026-11-07, 2026-11-07T08:00:00Z)", Kind.FLAG: "true or false"}
        raise bad_request(
            "INVALID_PARAMETER", f"{field.name} is compared with {what.get(field.kind, 'a number')}"
        ) from None


def _parsed(value: str, kind: Kind) -> Any:
    match kind:
        case Kind.TIME:
            moment = datetime.fromisoformat(value)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).isoformat()[:19] + "Z"
        case Kind.NUMBER | Kind.WHOLE:
            number = Decimal(value if len(value) <= _MAX_DIGITS else "NaN")
            if not number.is_finite():
                raise ValueError
            return number
        case Kind.FLAG:
            return {"true": True, "1": True, "false": False, "0": False}[value.lower()]
        case _:
            return value


def _comparable(actual: Any, kind: Kind) -> Any:
    if kind in (Kind.NUMBER, Kind.WHOLE):
        return Decimal(str(actual))
    return actual if kind in (Kind.TIME, Kind.FLAG) else str(actual)
