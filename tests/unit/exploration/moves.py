"""The moves of a story, with how often each is worth trying."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.unit.exploration.story import Story

Move = tuple[str, tuple[int | str, ...]]

_WEIGHTS: dict[str, int] = {
    "run": 30,
    "answer": 14,
    "push": 10,
    "watch": 8,
    "perform": 3,
    "lose": 4,
    "drop": 1,
    "turn_away": 2,
    "delay": 4,
    "arrive": 4,
    "start": 5,
    "crash": 2,
    "relist": 4,
    "toggle": 12,
    "delete": 3,
    "create": 4,
    "lower": 1,
    "raise_again": 1,
    "wipe": 2,
}
_ON_TASKS = ("answer", "perform", "lose", "drop", "turn_away", "delay")
_ON_NAMES = ("toggle", "delete", "create", "wipe")
LENGTHS = (1, 2, 3, 5, 8, 13, 100, 400)


def draw(rng: random.Random, names: tuple[str, ...]) -> Move:
    """One move."""
    kind = rng.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
    which = rng.randrange(2)
    if kind in _ON_TASKS:
        return kind, (which, rng.randrange(3))
    if kind in _ON_NAMES:
        return kind, (rng.choice(names),)
    if kind in ("run", "push"):
        return kind, (which, rng.choice(LENGTHS))
    if kind == "watch":
        return kind, (which, rng.choice((1, 1, 2, 5)))
    if kind in ("crash", "relist"):
        return kind, (which,)
    return kind, ()


def play(story: Story, moves: list[Move]) -> None:
    """Make these moves, then wait for rest."""
    for kind, arguments in moves:
        getattr(story, kind)(*arguments)
    story.come_to_rest()


def search(
    seeds: range,
    *,
    opening: tuple[Move, ...] = (),
    length: int = 25,
    on_seed: Callable[[int], None] = lambda _: None,
) -> tuple[int, str] | None:
    """Play random stories after an opening; returns the first seed that breaks something, and what."""
    for seed in seeds:
        on_seed(seed)
        rng = random.Random(seed)  # noqa: S311 - a story, not a secret
        is_wide = not opening and rng.random() < 0.2
        story = Story(is_wide=is_wide)
        names = tuple(story.pools_of)
        try:
            play(story, [*opening, *(draw(rng, names) for _ in range(rng.randrange(length)))])
        except AssertionError as error:
            return seed, str(error)
    return None
