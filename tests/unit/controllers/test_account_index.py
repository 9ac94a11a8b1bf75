"""What is known of an account: only a listing that began afterwards confirms anything."""

import pytest

from makini_operator.controllers.account_index import AccountIndex
from makini_operator.lifecycle.marker import Marker

HOME = "home"
ACME, OTHER = Marker("acme", 4, HOME), Marker("other", 2, HOME)
Row = tuple[str, Marker | None]


class Woken:
    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


@pytest.fixture
def index() -> AccountIndex:
    return AccountIndex(wake=lambda: None)


def listing(index: AccountIndex, *rows: Row) -> set[str]:
    """A listing from beginning to end; returns the tags that it concerns."""
    return index.complete(index.begin(), rows)


def ids(index: AccountIndex, tag: str = "acme") -> tuple[str, ...]:
    return index.view(tag, recorded_id=None).ids


def is_complete(index: AccountIndex, tag: str = "acme", *, after: int = 1) -> bool:
    return index.view(tag, recorded_id=None, after=after).is_complete


def is_absent(index: AccountIndex, connection_id: str = "c1") -> bool:
    return index.view("acme", recorded_id=connection_id).is_recorded_absent


def test_nothing_is_known_before_the_first_listing(index: AccountIndex) -> None:
    assert not is_complete(index)
    listing(index)
    assert is_complete(index)


def test_a_listing_shows_what_is_alive_smallest_id_first(index: AccountIndex) -> None:
    listing(index, ("c2", ACME), ("c1", ACME), ("c3", OTHER), ("c4", None))
    assert ids(index) == index.with_tag("acme") == ("c1", "c2")
    assert index.alive() == {"acme": 4, "other": 2}
    assert (index.owned, index.unowned) == (3, 1)


def test_of_duplicates_the_dearest_counts(index: AccountIndex) -> None:
    listing(index, ("c1", ACME), ("c2", Marker("acme", 8, HOME)), ("c3", Marker("acme", 1, HOME)))
    assert index.alive() == {"acme": 8}


def test_what_is_being_opened_counts_until_the_outcome_is_known(index: AccountIndex) -> None:
    listing(index)
    index.opening(ACME)
    assert (index.alive(), index.counted()) == ({}, {"acme": 4})
    assert not is_complete(index)
    index.settle("acme")
    assert index.counted() == {}
    under_way = index.begin()
    index.opening(ACME)
    index.complete(under_way, [])
    assert index.counted() == {"acme": 4}
    listing(index)
    assert index.counted() == {}


# --- what confirms --------------------------------------------------------------------------------------------


def test_a_doubt_is_settled_only_by_a_listing_that_begins_afterwards(index: AccountIndex) -> None:
    listing(index)
    under_way = index.begin()
    index.doubt("acme")
    assert not is_complete(index)
    index.complete(under_way, [])
    assert not is_complete(index)
    listing(index)
    assert is_complete(index)


def test_a_doubt_about_one_leaves_the_others_alone(index: AccountIndex) -> None:
    listing(index)
    index.doubt("acme")
    assert is_complete(index, "other")


def test_a_doubt_that_resolves_itself_needs_no_listing(index: AccountIndex) -> None:
    listing(index)
    index.doubt("acme")
    index.settle("acme")
    assert is_complete(index)


def test_a_disconnect_is_confirmed_only_by_a_listing_that_begins_afterwards(index: AccountIndex) -> None:
    listing(index, ("c1", ACME))
    under_way = index.begin()
    index.closed("c1")
    assert (ids(index), is_complete(index)) == ((), False)
    index.complete(under_way, [("c1", ACME)])
    assert (ids(index), is_complete(index)) == ((), False)
    listing(index)
    assert (ids(index), is_complete(index)) == ((), True)


def test_a_pool_trusts_no_listing_from_before_its_take_over(index: AccountIndex) -> None:
    listing(index)
    number = index.request()
    assert not is_complete(index, after=number)
    listing(index)
    assert is_complete(index, after=number)


def test_a_request_during_a_listing_asks_for_the_next_one(index: AccountIndex) -> None:
    under_way = index.begin()
    assert index.request() == under_way + 1
    assert index.is_wanted
    index.complete(under_way, [])
    assert index.is_wanted
    index.begin()
    assert not index.is_wanted


def test_who_asks_wakes_the_account() -> None:
    woken = Woken()
    index = AccountIndex(wake=woken)
    assert index.request() == index.request() == 1
    assert woken.times == 2


# --- our own calls against a listing that is under way --------------------------------------------------------


def test_what_was_opened_during_a_listing_is_kept_though_it_is_not_in_it(index: AccountIndex) -> None:
    under_way = index.begin()
    index.opened("c1", ACME)
    index.complete(under_way, [])
    assert ids(index) == ("c1",)
    listing(index)
    assert ids(index) == ()


def test_what_was_closed_during_a_listing_is_not_brought_back_by_it(index: AccountIndex) -> None:
    listing(index, ("c1", ACME))
    under_way = index.begin()
    index.closed("c1")
    index.complete(under_way, [("c1", ACME)])
    assert ids(index) == ()
    assert index.alive() == {}


def test_what_makini_still_lists_later_is_alive_after_all(index: AccountIndex) -> None:
    listing(index, ("c1", ACME))
    index.closed("c1")
    listing(index, ("c1", ACME))
    assert ids(index) == ("c1",)


def test_what_was_opened_counts_at_once(index: AccountIndex) -> None:
    listing(index)
    index.opened("c1", ACME)
    assert (ids(index), index.alive()) == (("c1",), {"acme": 4})


def test_opened_and_closed_during_one_listing_leaves_nothing(index: AccountIndex) -> None:
    under_way = index.begin()
    index.opened("c1", ACME)
    index.closed("c1")
    index.complete(under_way, [("c1", ACME)])
    assert ids(index) == ()


# --- absence --------------------------------------------------------------------------------------------------


def test_a_connection_is_absent_only_when_it_was_missing_twice_in_a_row(index: AccountIndex) -> None:
    listing(index, ("c1", ACME))
    assert not is_absent(index)
    listing(index)
    assert not is_absent(index)
    listing(index)
    assert is_absent(index)


def test_a_first_absence_asks_for_a_second_listing(index: AccountIndex) -> None:
    listing(index)
    assert not index.is_wanted
    assert not is_absent(index)
    assert index.is_wanted


def test_looking_twice_at_one_listing_is_not_missing_twice(index: AccountIndex) -> None:
    listing(index)
    assert not is_absent(index)
    assert not is_absent(index)


def test_who_is_seen_again_was_never_gone(index: AccountIndex) -> None:
    listing(index)
    assert not is_absent(index)
    listing(index, ("c1", ACME))
    assert not is_absent(index)
    listing(index)
    assert not is_absent(index)


def test_two_absences_with_a_sighting_between_that_nobody_looked_at_are_not_in_a_row(index: AccountIndex) -> None:
    listing(index)
    assert not is_absent(index)
    listing(index, ("c1", ACME))
    listing(index)
    assert not is_absent(index)


def test_while_there_is_doubt_nothing_is_absent(index: AccountIndex) -> None:
    listing(index)
    assert not is_absent(index)
    index.doubt("acme")
    under_way = index.begin()
    index.doubt("acme")
    index.complete(under_way, [])
    assert not is_absent(index)


# --- who is told ----------------------------------------------------------------------------------------------


def test_a_listing_concerns_those_that_came_and_went(index: AccountIndex) -> None:
    assert listing(index, ("c1", ACME)) == {"acme"}
    assert listing(index, ("c1", ACME)) == set()
    assert listing(index, ("c2", OTHER)) == {"acme", "other"}


def test_a_listing_concerns_those_who_waited_for_it(index: AccountIndex) -> None:
    assert not is_complete(index, "waiting")
    assert listing(index) == {"waiting"}
    index.doubt("acme")
    assert listing(index) == {"acme"}
    assert listing(index) == set()


def test_a_listing_that_came_too_early_for_somebody_keeps_waking_them(index: AccountIndex) -> None:
    under_way = index.begin()
    index.doubt("acme")
    assert not is_complete(index)
    assert "acme" in index.complete(under_way, [])
    assert not is_complete(index)
    assert "acme" in listing(index)


def test_a_second_absence_wakes_its_connection_once(index: AccountIndex) -> None:
    listing(index)
    assert not is_absent(index)
    assert listing(index) == {"acme"}


# --- renamed at Makini ------------------------------------------------------------------------------------------


def test_a_connection_that_has_lost_its_marker_is_alive_and_never_absent(index: AccountIndex) -> None:
    listing(index, ("c1", ACME))
    for _ in range(3):
        listing(index, ("c1", None))
        view = index.view("acme", recorded_id="c1")
        assert (view.is_complete, view.ids) == (True, ())
        assert (view.is_recorded_unmarked, view.is_recorded_absent) == (True, False)


def test_a_recorded_connection_with_the_marker_of_another_is_alive_and_never_absent(index: AccountIndex) -> None:
    for _ in range(3):
        listing(index, ("c1", OTHER))
        view = index.view("acme", recorded_id="c1")
        assert (view.ids, view.is_recorded_unmarked, view.is_recorded_absent) == ((), True, False)


def test_a_connection_that_gets_its_marker_back_is_itself_again(index: AccountIndex) -> None:
    listing(index, ("c1", None))
    listing(index, ("c1", ACME))
    view = index.view("acme", recorded_id="c1")
    assert (view.ids, view.is_recorded_unmarked) == (("c1",), False)


def test_a_connection_that_lost_its_marker_and_then_went_is_absent_after_two_listings(index: AccountIndex) -> None:
    listing(index, ("c1", None))
    assert not is_absent(index)
    listing(index)
    assert not is_absent(index)
    listing(index)
    assert is_absent(index)


def test_of_an_unmarked_connection_only_who_has_recorded_it_is_told(index: AccountIndex) -> None:
    listing(index, ("c1", None), ("c2", ACME))
    assert not index.view("acme", recorded_id="c2").is_recorded_unmarked
    assert not index.view("acme", recorded_id=None).is_recorded_unmarked
    assert index.view("other", recorded_id="c1").is_recorded_unmarked
    assert "acme" not in listing(index, ("c1", None), ("c2", ACME))


def test_losing_the_marker_is_news_for_who_had_it(index: AccountIndex) -> None:
    listing(index, ("c1", ACME))
    assert "acme" in listing(index, ("c1", None))
    assert "acme" in listing(index, ("c1", ACME))
