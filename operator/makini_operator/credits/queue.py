"""What a waiting connection is told, and when that is worth saying again.

A release moves everybody up. Writing each new position would cost a write for each waiting
connection, so places are exact only near the head of the queue, where people look.
"""

from __future__ import annotations

from dataclasses import dataclass

from makini_operator.credits.ledger import Obstacle, Place

EXACT = 10
"""Positions up to here are told exactly, with the credits available."""
_STEPS = (1, 2, 5)


@dataclass(frozen=True)
class Notice:
    """What one waiting connection is told. Equal notices need not be told again."""

    position: int
    available: int
    obstacle: Obstacle


def notice(place: Place, available: int, before: Notice | None) -> Notice:
    """The notice for this place; far from the head a changed number of credits alone is no news."""
    position = rounded(place.position)
    if position > EXACT and before and (before.position, before.obstacle) == (position, place.obstacle):
        return before
    return Notice(position, available, place.obstacle)


def rounded(position: int) -> int:
    """`position` itself up to 10; beyond that rounded up to 20, 50, 100, 200, 500, …."""
    if position <= EXACT:
        return position
    scale = EXACT
    while True:
        for step in _STEPS:
            if position <= step * scale:
                return step * scale
        scale *= 10
