"""Whether a write would be accepted. Pure but for one question: does this key point at a record.

The vendor's files require nothing and allow null nearly everywhere; what is required here, what is locked and which
state may follow which is in the table, and assumed. Wrong writes are answered with 400, the only code for them that
the vendor lists.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from makini_operator.sandbox.entities.catalogue import ENTITIES
from makini_operator.sandbox.entities.model import Entity, Field, Kind, State, Writes
from makini_operator.sandbox.problems import ApiError, bad_request

Exists = Callable[[str, object], bool]
LINE_FIELDS = ("lineItems", "lineItem", "lines")
_LINE_KEYS = {
    "materialKey": "materials", "productKey": "products", "vendorKey": "vendors", "locationKey": "locations",
    "storeroomKey": "storerooms", "assetKey": "assets", "uomKey": "uom", "currencyKey": "currencies",
}  # fmt: skip
_MAX_TEXT = 5_000
_MAX_LINES = 500
_MAX_DIGITS = 40


def check_body(body: Any, fields: Iterable[Field], *, exists: Exists, required: tuple[str, ...]) -> dict[str, Any]:
    """Return the body when every field has a value of its kind and every key points at a record.

    Fields that the body does not have in the vendor's files are ignored, as its framework does.

    Raises:
        ApiError: (400) VALIDATION_FAILED, or `<RECORD>_UNKNOWN` for a key that points nowhere.
    """
    if not isinstance(body, dict):
        raise bad_request("VALIDATION_FAILED", "expected an object")
    for name in required:
        if body.get(name) in (None, ""):
            raise bad_request("VALIDATION_FAILED", f"{name} is required")
    for field in fields:
        if body.get(field.name) is not None:
            _check_value(field, body[field.name], exists)
    return body


def check_status(states: Entity, word: object, *, current: State | None) -> State:
    """Return the state that a word names, when it may follow the current one (None: a new document).

    Raises:
        ApiError: (400) STATUS_UNKNOWN, or STATUS_NOT_ALLOWED.
    """
    assert states.states is not None  # noqa: S101 - the caller has looked
    state = states.states.of(word) if isinstance(word, str) else None
    codes = [one.code for one in states.states.states]
    if state is None:
        raise bad_request("STATUS_UNKNOWN", f"no such status; there are: {', '.join(codes)}")
    if current is not None and state.code not in current.follows:
        after = ", ".join(current.follows) or "nothing"
        raise bad_request("STATUS_NOT_ALLOWED", f"after {current.code} comes {after}, not {state.code}")
    return state


def check_lines(
    body: Mapping[str, Any], *, exists: Exists, in_stock: Callable[[str, str], Decimal], takes: bool
) -> list[dict[str, Any]]:
    """Return the lines of a body, under whichever name it has them.

    Args:
        body: the body of the write.
        exists: whether a key of an entity points at a record.
        in_stock: how many there are of (field, key), the field being materialKey or productKey.
        takes: the lines take from the stock, so it must have as many as they ask for; else there must be some at all.

    Raises:
        ApiError: (400) VALIDATION_FAILED, `<RECORD>_UNKNOWN` or OUT_OF_STOCK.
    """
    lines: Any = next((body[name] for name in LINE_FIELDS if body.get(name) is not None), [])
    if not isinstance(lines, list) or len(lines) > _MAX_LINES or not all(isinstance(one, dict) for one in lines):
        raise bad_request("VALIDATION_FAILED", f"lines are a list of at most {_MAX_LINES} objects")
    for line in lines:
        for name, entity in _LINE_KEYS.items():
            if line.get(name) is not None and not exists(entity, line[name]):
                raise unknown(entity, name)
        quantity = decimal(line.get("quantity", 1), "quantity")
        if quantity <= 0:
            raise bad_request("VALIDATION_FAILED", "quantity must be above 0")
        for name in ("materialKey", "productKey"):
            if line.get(name) is not None:
                check_stock(line[name], in_stock(name, line[name]), wanted=quantity if takes else Decimal(1))
    return lines


def check_stock(key: str, there: Decimal, *, wanted: Decimal) -> None:
    """Raise ApiError (400) OUT_OF_STOCK when there are fewer than wanted."""
    if there < wanted:
        raise bad_request("OUT_OF_STOCK", f"{key}: {there} in stock, {wanted} wanted")


def decimal(value: Any, name: str) -> Decimal:
    """Return a number that is written as a number or as text; raises ApiError (400)."""
    is_number = isinstance(value, int | float | str) and not isinstance(value, bool)
    try:
        number = Decimal(str(value) if is_number and len(str(value)) <= _MAX_DIGITS else "NaN")
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise bad_request("VALIDATION_FAILED", f"{name} must be a number")
    return number


def unknown(entity: str, name: str) -> ApiError:
    """Return the error for a key that points nowhere."""
    word = ENTITIES[entity].singular
    return bad_request(f"{word.upper()}_UNKNOWN", f"{name}: no such {word.replace('_', ' ')}")


def put_fields(writes: Writes) -> list[Field]:
    """Return the fields of the body of a PUT."""
    return [one for one in writes.body.fields if one.name not in writes.update_lacks] + list(writes.update_adds)


def _check_value(field: Field, value: Any, exists: Exists) -> None:
    name = field.name
    match field.kind:
        case Kind.FLAG:
            _demand(isinstance(value, bool), f"{name} must be true or false")
        case Kind.WHOLE:
            _demand(isinstance(value, int) and not isinstance(value, bool), f"{name} must be a whole number")
            decimal(value, name)
        case Kind.NUMBER:
            decimal(value, name)
        case Kind.TIME:
            _demand(_is_moment(value), f"{name} must be a moment such as 2026-11-07T08:00:00Z")
        case Kind.LIST:
            _demand(isinstance(value, list | dict), f"{name} must be a list or an object")
        case Kind.REFERENCES:
            _demand(isinstance(value, list), f"{name} must be a list of keys")
            _demand_known(field, value, exists)
        case Kind.REFERENCE_TEXT:
            _demand_text(name, value)
            _demand_known(field, value.split(","), exists)
        case Kind.REFERENCE:
            _demand_text(name, value)
            _demand_known(field, [value], exists)
        case _:
            _demand_text(name, value)


def _demand(holds: bool, message: str) -> None:
    if not holds:
        raise bad_request("VALIDATION_FAILED", message)


def _demand_text(name: str, value: Any) -> None:
    _demand(isinstance(value, str) and len(value) <= _MAX_TEXT, f"{name} must be text of at most {_MAX_TEXT}")


def _demand_known(field: Field, keys: list[Any], exists: Exists) -> None:
    if not all(exists(field.target, key) for key in keys):
        raise unknown(field.target, field.name)


def _is_moment(value: Any) -> bool:
    try:
        datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return False
    return True
