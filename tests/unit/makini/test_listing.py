"""A listing is complete or an error."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.makini.scripted import Scripted, page, says

from makini_operator.makini import IncompleteListing, RemoteConnection, ServerFault
from makini_operator.makini.listing import complete
from makini_operator.makini.shapes import Page

CONNECTIONS = "GET /api/system/connections"


async def no_pause(failed: int) -> None:
    assert failed > 0


def row(key: str) -> RemoteConnection:
    return RemoteConnection(id=key, name=key, status="active", integration_name="", user_metadata=None)


async def test_all_pages_are_read_by_number_and_links_are_not_followed(server: Scripted) -> None:
    first, second = page(["a", "b"], number=1, last=2, total=3), page(["c"], number=2, last=2, total=3)
    server.on(CONNECTIONS, says(200, first), says(200, second), says(200, first), says(200, second))
    assert {row.id for row in await server.client.list_connections()} == {"a", "b", "c"}
    assert [seen.query for seen in server.requests(CONNECTIONS)] == ["page=1", "page=2", "page=1", "page=2"]


async def test_an_empty_account_is_an_empty_list(server: Scripted) -> None:
    server.on(CONNECTIONS, says(200, page([])))
    assert await server.client.list_connections() == []


@pytest.mark.parametrize(
    "answer",
    [
        {"data": []},
        {"data": [], "meta": {}},
        {"meta": {"current_page": 1, "last_page": 1, "total": 0}},
        {"data": [{"name": "no id"}], "meta": {"current_page": 1, "last_page": 1, "total": 1}},
        {"data": [], "meta": {"current_page": 1, "last_page": 1, "total": "0"}},
        None,
    ],
)
async def test_a_page_that_is_no_page_is_a_fault(server: Scripted, answer: object) -> None:
    server.on(CONNECTIONS, says(200, answer))
    with pytest.raises(ServerFault):
        await server.client.list_connections()


@pytest.mark.parametrize(
    "pages",
    [
        [page(["a"], total=2)],
        [page([], total=1)],
        [page(["a", "a"])],
        [page(["a"], number=2)],
        [page(["a"], number=1, last=2, total=2), page(["a"], number=2, last=2, total=2)],
        [page(["a"], number=1, last=2, total=2), page(["b"], number=2, last=2, total=3)],
        [page(["a"], number=1, last=2, total=2), page([], number=2, last=2, total=2)],
        [page(["a"], number=1, last=2, total=2), page(["a"], number=1, last=2, total=2)],
    ],
)
async def test_a_listing_that_does_not_add_up_is_repeated_and_then_refused(
    server: Scripted, pages: list[dict[str, object]]
) -> None:
    server.on(CONNECTIONS, *(says(200, body) for body in pages * 10))
    with pytest.raises(IncompleteListing):
        await server.client.list_connections()
    assert len(server.requests(CONNECTIONS)) == 6 * len(pages)
    assert len(server.time.slept) == 6


async def test_a_close_and_an_open_between_two_pages_do_not_hide_a_connection(server: Scripted) -> None:
    # "a" goes and "e" comes after page 1 was read: page 2 starts with "d", "c" is on neither, and yet four were seen.
    server.on(
        CONNECTIONS,
        says(200, page(["a", "b"], number=1, last=2, total=4)),
        says(200, page(["d", "e"], number=2, last=2, total=4)),
        *(
            says(200, page(rows, number=number, last=2, total=4))
            for _ in range(2)
            for number, rows in ((1, ["b", "c"]), (2, ["d", "e"]))
        ),
    )
    assert {row.id for row in await server.client.list_connections()} == {"b", "c", "d", "e"}


@settings(max_examples=300)
@given(
    start=st.integers(0, 9),
    size=st.integers(1, 3),
    newest_first=st.booleans(),
    changes=st.lists(st.lists(st.one_of(st.just(-1), st.integers(0, 9)), max_size=3), max_size=12),
)
async def test_whatever_comes_and_goes_nothing_that_stays_is_missed(
    start: int, size: int, newest_first: bool, changes: Sequence[list[int]]
) -> None:
    alive = [str(i) for i in range(start)]
    stayed = set(alive)
    fresh = start
    upcoming = iter(changes)

    async def fetch(number: int) -> Page:
        nonlocal fresh
        order = alive[::-1] if newest_first else alive
        rows = [row(key) for key in order[(number - 1) * size : number * size]]
        answer = Page(rows=rows, number=number, last=max(1, -(-len(alive) // size)), total=len(alive))
        for change in next(upcoming, []):
            if change < 0:
                alive.append(str(fresh))
                fresh += 1
            elif alive:
                stayed.discard(alive.pop(change % len(alive)))
        return answer

    try:
        found = {row.id for row in await complete(fetch, passes=6, pause=no_pause)}
    except IncompleteListing:
        return
    assert stayed <= found
