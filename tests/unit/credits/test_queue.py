"""What waiting connections are told, and that a release does not tell everybody."""

import pytest
from tests.unit.credits.test_ledger import request

from makini_operator.credits.ledger import Obstacle, Place
from makini_operator.credits.queue import Notice, notice, rounded


@pytest.mark.parametrize(
    ("position", "told"), [(1, 1), (10, 10), (11, 20), (20, 20), (21, 50), (51, 100), (101, 200), (999, 1000)]
)
def test_positions_are_exact_only_near_the_head(position: int, told: int) -> None:
    assert rounded(position) == told


def place(position: int, obstacle: Obstacle = Obstacle.CREDITS) -> Place:
    return Place(request("a", 4), position, obstacle)


def test_near_the_head_every_change_is_news() -> None:
    assert notice(place(2), 3, Notice(2, 2, Obstacle.CREDITS)) == Notice(2, 3, Obstacle.CREDITS)


def test_far_from_the_head_moving_up_a_little_is_none() -> None:
    before = notice(place(400), 0, None)
    assert notice(place(390), 3, before) is before
    assert notice(place(390, Obstacle.NAMESPACE), 3, before) == Notice(500, 3, Obstacle.NAMESPACE)
    assert notice(place(200), 3, before) == Notice(200, 3, Obstacle.CREDITS)


def test_one_release_is_news_for_few_of_a_thousand() -> None:
    before = {n: notice(place(n), 0, None) for n in range(1, 1001)}
    news = [n for n in range(2, 1001) if notice(place(n - 1), 0, before[n]) != before[n]]
    assert len(news) <= 16
