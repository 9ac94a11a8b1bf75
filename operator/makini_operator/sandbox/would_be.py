"""The record that a write would leave behind, if it were kept: what the answer shows."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from makini_operator.sandbox.entities.catalogue import ENTITIES
from makini_operator.sandbox.entities.model import Entity, Field, Kind, Shape, State
from makini_operator.sandbox.entities.parts import PARTS

_LINES = ("lineItems", "lines")


def empty(shape: Shape) -> dict[str, Any]:
    """Return a record of this shape in which nothing has been said yet."""
    return {field.name: _nothing(field) for field in shape.fields}


def merged(
    record: Mapping[str, Any], body: Mapping[str, Any], fields: Iterable[Field], *, shape: Shape
) -> dict[str, Any]:
    """Return the record with the body's fields in it, in the record's own kinds; what it cannot hold is left out."""
    changed = dict(record)
    for field in fields:
        own = shape.field(field.name)
        if own is not None and field.name in body and own.name not in ("key", "createdAt", "updatedAt", *_LINES):
            value = body[field.name]
            kept = _as_kind(value, own.kind)
            if value is None or kept is not None:
                changed[own.name] = kept if own.kind is not Kind.LIST or kept is not None else []
    return changed


def with_lines(record: dict[str, Any], lines: Sequence[Mapping[str, Any]], *, shape: Shape) -> dict[str, Any]:
    """Return the record with these lines, if it has room for lines."""
    field = next((one for one in shape.fields if one.name in _LINES and one.kind is Kind.PARTS), None)
    if field is None or not lines:
        return record
    part = PARTS[field.target]
    made = [_line(line, part, key=f"{record['key']}-{number}") for number, line in enumerate(lines, start=1)]
    return record | {field.name: made}


def in_state(record: dict[str, Any], state: State, *, entity: Entity, moment: str) -> dict[str, Any]:
    """Return the record in this state; the moments that belong to the state and are missing are now."""
    assert entity.states is not None  # noqa: S101 - the caller has looked
    shape = entity.shape
    news: dict[str, Any] = {"statusKey": entity.states.key(state.code)}
    if shape.field("status") is not None:
        news["status"] = state.code
    for name in state.fills:
        field = shape.field(name)
        if field is not None and field.kind is Kind.TIME and record[name] is None:
            news[name] = moment
    return record | news


def stamped(record: dict[str, Any], *, moment: str, is_new: bool) -> dict[str, Any]:
    """Return the record changed (and created) at this moment, as far as it has fields for that."""
    names = ("updatedAt", "createdAt") if is_new else ("updatedAt",)
    return record | {name: moment for name in names if name in record}


def projected(record: Mapping[str, Any], shape: Shape) -> dict[str, Any]:
    """Return the record in another shape; what it does not have is empty."""
    return {name: record.get(name, nothing) for name, nothing in empty(shape).items()}


def _line(line: Mapping[str, Any], part: Shape, *, key: str) -> dict[str, Any]:
    made = merged(empty(part), line, part.fields, shape=part)
    return made | {"key": key} if part.field("key") is not None else made


def _nothing(field: Field) -> Any:
    match field.kind:
        case Kind.LIST | Kind.REFERENCES | Kind.PARTS | Kind.RECORDS:
            return []
        case Kind.PART:
            return empty(PARTS[field.target])
        case Kind.RECORD:
            return empty(ENTITIES[field.target].shape)
        case _:
            return None


def _as_kind(value: Any, kind: Kind) -> Any:
    """Return the value as a field of this kind holds it, or None when it cannot."""
    match kind:
        case Kind.FLAG:
            return value if isinstance(value, bool) else None
        case Kind.WHOLE:
            return value if isinstance(value, int) else None
        case Kind.LIST | Kind.REFERENCES:
            return [str(one) for one in value] if isinstance(value, list) else None
        case Kind.REFERENCE_TEXT if isinstance(value, list):
            return ",".join(str(one) for one in value)
        case Kind.PART | Kind.PARTS | Kind.RECORD | Kind.RECORDS:
            return None
        case _:
            return str(value) if isinstance(value, str | int | float) else None
