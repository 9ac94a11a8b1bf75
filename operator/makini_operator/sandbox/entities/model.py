"""How an entity of the vendor's data API is described: its fields, where its keys point, its states, its writes.

Nothing here knows HTTP or makes a record. A shape is written as one line of text, because what a reviewer compares is
the list of names. Its words:

    name            text                    quantity:num      a number written as text
    isActive:flag   true or false           createdAt:time    a moment, UTC
    count:int       a whole number          tags:list         a list of texts
    vendorKey>vendors      the key of a record; with `?` at the end, often none
    siteKeys*>sites        a list of keys
    vendorKeys~>vendors    keys in one text, with commas between them
    address:Address        an embedded part; `lines:Line[]` a list of them
    inventory=inventories  an embedded record of another entity; `documents=documents[]` a list of them
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

ERP, EAM = "erp", "eam"
BOTH = (ERP, EAM)
_WORD = re.compile(
    r"(?P<name>\w+)(?:(?P<sign>:|=|\*>|~>|>)(?P<target>[\w./-]+)(?P<many>\[\])?(?P<optional>\?)?)?$", re.ASCII
)
_SCALARS = ("flag", "int", "num", "time", "list")


class Kind(StrEnum):
    """What a field holds."""

    TEXT = "text"
    FLAG = "flag"
    WHOLE = "int"
    NUMBER = "num"
    TIME = "time"
    LIST = "list"
    REFERENCE = ">"
    REFERENCES = "*>"
    REFERENCE_TEXT = "~>"
    PART = "part"
    PARTS = "parts"
    RECORD = "record"
    RECORDS = "records"


REFERRING = (Kind.REFERENCE, Kind.REFERENCES, Kind.REFERENCE_TEXT)


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field. `target` names an entity or a part; `optional` says that sample records often leave it empty."""

    name: str
    kind: Kind
    target: str = ""
    optional: bool = False


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A record's fields in order, and the rules by which sample values are made.

    Attributes:
        name: the schema's name in the vendor's files.
        fields: in the order of the files.
        values: by field: a tuple (taken in turn), a text with `{n}`, a function of the record's context, or a
            constant. Fields without a rule get what their kind suggests.
    """

    name: str
    fields: tuple[Field, ...]
    values: Mapping[str, Any] = field(default_factory=dict)

    def field(self, name: str) -> Field | None:
        """Return a field by its name."""
        return next((one for one in self.fields if one.name == name), None)


@dataclass(frozen=True, kw_only=True)
class State:
    """One state of a document.

    Attributes:
        code: what it is called in a status change.
        fills: the fields that have a value from this state on, in the order of events.
        received: how much of the lines has arrived: `none`, `part` or `all`.
        follows: codes of the states that may come next.
        locked: the document cannot be changed any more, only its status.
    """

    code: str
    fills: tuple[str, ...] = ()
    received: str = "none"
    follows: tuple[str, ...] = ()
    locked: bool = False


@dataclass(frozen=True, kw_only=True)
class States:
    """The states of one kind of document.

    Attributes:
        family: the list under `statuses/` that has them; empty when the vendor has no such list.
        prefix: start of their keys.
        states: each of them, in the usual order.
        cycle: the codes that sample records take in turn.
    """

    family: str
    prefix: str
    states: tuple[State, ...]
    cycle: tuple[str, ...]

    def key(self, code: str) -> str:
        """Return the key of the state with this code."""
        return f"{self.prefix}-{code}"

    def of(self, word: object) -> State | None:
        """Return the state that a key or a code names."""
        return next((one for one in self.states if word in (one.code, self.key(one.code))), None)


@dataclass(frozen=True, kw_only=True)
class Writes:
    """What may be written.

    Attributes:
        body: the fields of a body, in the words of a shape.
        required: those that a POST must have.
        put_required: those that a PUT must not empty.
        create, update: the APIs that have POST and PUT.
        update_lacks: fields of a POST that a PUT does not have, and `update_adds` the other way round.
        status: the field of the body of `PUT …/{key}/status`; empty when there is no such operation.
        is_upload: the body of a POST is a form with a file.
    """

    body: Shape
    required: tuple[str, ...] = ()
    put_required: tuple[str, ...] = ()
    create: tuple[str, ...] = ()
    update: tuple[str, ...] = ()
    update_lacks: tuple[str, ...] = ()
    update_adds: tuple[Field, ...] = ()
    status: str = ""
    is_upload: bool = False


@dataclass(frozen=True, kw_only=True)
class Entity:
    """One kind of record, as both APIs show it.

    Attributes:
        name: the path below `/api/erp/` or `/api/eam/`, and the name that references use.
        apis: which of the two have it; none for records that are only reached through others.
        shape: its fields.
        prefix: start of its keys: the first is `<prefix>-001`.
        count: how many sample records there are.
        keys: keys of the first ones, where a telling name helps.
        states: its states, if it has any.
        sized: whether `per_page` is heard; if not, a page has the default size.
        writes: what may be written, if anything.
        custom: makes the value of `customFields` from the index, or None for a record without.
        has_one: whether `GET …/{key}` exists.
    """

    name: str
    apis: tuple[str, ...]
    shape: Shape
    prefix: str
    count: int
    keys: tuple[str, ...] = ()
    states: States | None = None
    sized: bool = True
    writes: Writes | None = None
    custom: Callable[[int], dict[str, Any] | None] | None = None
    has_one: bool = True

    @property
    def cursor(self) -> str | None:
        """The field by which changes are read, or None when a sync has to read everything."""
        return "updatedAt" if self.shape.field("updatedAt") else None

    @property
    def singular(self) -> str:
        """The word for one record in an error's code: `purchase_order`."""
        word = self.name.rpartition("/")[2].rpartition(".")[2].replace("-", "_")
        for plural, single in (("statuses", "status"), ("ies", "y"), ("taxes", "tax"), ("s", "")):
            if word.endswith(plural):
                return word.removesuffix(plural) + single
        return word


@dataclass(frozen=True, kw_only=True)
class Sublist:
    """A list below one record, `GET …/<parent>/{key}/<name>`: the records of `entity` whose `owner` is that key."""

    apis: tuple[str, ...]
    parent: str
    name: str
    entity: str
    owner: str


def shape(name: str, text: str, /, **values: Any) -> Shape:
    """Return the shape that the text describes.

    Raises:
        ValueError: a word of the text is none of the forms above.
    """
    return Shape(name=name, fields=tuple(_field(word) for word in text.split()), values=values)


def _field(word: str) -> Field:
    match = _WORD.match(word)
    if match is None:
        raise ValueError(f"expected a field such as name, at:time or key>vendors, found {word!r}")
    name, sign, target = match["name"], match["sign"], match["target"] or ""
    optional, many = match["optional"] is not None, match["many"] is not None
    if sign is None:
        return Field(name=name, kind=Kind.TEXT)
    if sign == ":":
        if target in _SCALARS:
            return Field(name=name, kind=Kind(target), optional=optional)
        return Field(name=name, kind=Kind.PARTS if many else Kind.PART, target=target, optional=optional)
    if sign == "=":
        return Field(name=name, kind=Kind.RECORDS if many else Kind.RECORD, target=target, optional=optional)
    return Field(name=name, kind=Kind(sign), target=target, optional=optional)
