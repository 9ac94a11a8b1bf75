"""What a rule for a sample value may look at: which record, which line of it, its state, its moments, its money."""

from makini_operator.sandbox.entities.materials import PRICES, UNITS
from makini_operator.sandbox.entities.model import State
from makini_operator.sandbox.records.moments import DAY

_TAX_PERCENT = 20
_GAP = 2 * DAY  # between two events of a document's life


class Context:
    """One record, or one line of it.

    Attributes:
        index: number of the record, from 0.
        key: its key.
        line: number of the line, from 0; 0 for the record itself.
        at: when it changed last, unix seconds.
        state: its state, or None.
        start: when its life began, unix seconds: a document's before the events that its state has seen.
    """

    __slots__ = ("at", "index", "key", "line", "start", "state")

    def __init__(self, *, index: int, key: str, at: int, state: State | None, line: int = 0) -> None:
        self.index = index
        self.key = key
        self.at = at
        self.state = state
        self.line = line
        self.start = at - _GAP * (len(state.fills) if state is not None else 5)

    def of_line(self, line: int) -> "Context":
        """Return the context of one of the record's lines."""
        return Context(index=self.index, key=self.key, at=self.at, state=self.state, line=line)

    @property
    def turn(self) -> int:
        """Number by which values are taken in turn, different for the lines of a record."""
        return self.index + self.line

    def event(self, field: str) -> int | None:
        """Return when the event behind a state's field was, or None when the state has not seen it."""
        fills = self.state.fills if self.state is not None else ()
        return self.at - _GAP * (len(fills) - 1 - fills.index(field)) if field in fills else None


def line_count(index: int) -> int:
    """Return how many lines the record with this number has: 1, 2 or 3."""
    return 1 + index % 3


def quantity(turn: int) -> int:
    """Return how much a line asks for."""
    return 4 + 2 * (turn % 5)


def received(turn: int, *, line: int, state: State | None) -> int:
    """Return how much of it has come: of a document that has come in part, half of the first line."""
    how_much = state.received if state is not None else "none"
    if how_much == "all":
        return quantity(turn)
    return quantity(turn) // 2 if how_much == "part" and line == 0 else 0


def price(turn: int) -> int:
    """Return the price of a line's material in cents."""
    return PRICES[material(turn)]


def material(turn: int) -> int:
    """Return the number of a line's material: one of the first six, which are in stock."""
    return turn % 6


def unit(turn: int) -> str:
    """Return the unit in which a line's material is counted."""
    return UNITS[material(turn)]


def line_total(turn: int) -> int:
    """Return a line's value without tax in cents."""
    return price(turn) * quantity(turn)


def line_tax(turn: int) -> int:
    """Return a line's tax in cents."""
    return (line_total(turn) * _TAX_PERCENT + 50) // 100


def net(index: int) -> int:
    """Return a document's value without tax in cents: the sum of its lines."""
    return sum(line_total(index + line) for line in range(line_count(index)))


def tax(index: int) -> int:
    """Return a document's tax in cents: the sum of its lines."""
    return sum(line_tax(index + line) for line in range(line_count(index)))


def money(cents: int) -> str:
    """Write cents as an amount: `120.50`."""
    return f"{cents // 100}.{cents % 100:02d}"
