"""A complete listing out of pages that may move while they are read.

Makini lists connections in fixed pages, without filter, snapshot or cursor. Between two pages somebody may close a
connection that was on an earlier one: the rest moves up, and one row falls through the gap. `meta.total` shows most
of that, but not a close *and* an open in the same moment, which leave the total as it was. The operator disconnects
and re-creates by what is absent, so this must not slip through.

Therefore: a pass over the pages counts only when every page is the one that was asked for, the total never changed,
and as many distinct ids were seen as it says. And a listing of more than one page is believed only when nothing that
such a pass saw is missing in the next one. (A row can fall through the gap only if a row seen earlier in the same
pass went away; ids are not used twice; so the next pass lacks that id, and another one is needed.) What is returned
holds every connection that existed throughout the call.
"""

from collections.abc import Awaitable, Callable

from makini_operator.makini.errors import IncompleteListing
from makini_operator.makini.shapes import Page
from makini_operator.makini.types import RemoteConnection

_Rows = dict[str, RemoteConnection]


class _MovedError(Exception):
    """This pass saw pages that do not fit together."""


async def complete(
    fetch: Callable[[int], Awaitable[Page]], *, passes: int, pause: Callable[[int], Awaitable[None]]
) -> list[RemoteConnection]:
    """List everything, in at most `passes` passes, each page by its number and one after another.

    Args:
        fetch: reads one page; numbers start at 1.
        passes: bound on the passes over the pages.
        pause: waits before a pass that follows a failed one; gets how many failed.

    Raises:
        IncompleteListing: no two passes agreed.
        MakiniError: what `fetch` raised.
    """
    before: _Rows | None = None
    failed, reason = 0, "nothing was read"
    for _ in range(passes):
        try:
            rows, pages = await _one_pass(fetch)
        except _MovedError as moved:
            before, reason = None, str(moved)
        else:
            if pages == 1 or (before is not None and before.keys() <= rows.keys()):
                return list(rows.values())
            first, before, reason = before is None, rows, "connections went away while the pages were read"
            if first:
                continue
        failed += 1
        await pause(failed)
    raise IncompleteListing(
        f"the list of connections kept changing ({reason}); nothing is concluded from it, try later"
    )


async def _one_pass(fetch: Callable[[int], Awaitable[Page]]) -> tuple[_Rows, int]:
    first = await fetch(1)
    rows: _Rows = {}
    page, number = first, 1
    while True:
        if page.number != number:
            raise _MovedError(f"asked for page {number}, got {page.number}")
        if (page.total, page.last) != (first.total, first.last):
            raise _MovedError("the total changed between two pages")
        rows.update((row.id, row) for row in page.rows)
        if number >= first.last or not page.rows:
            break
        number += 1
        page = await fetch(number)
    if len(rows) != first.total:
        raise _MovedError(f"{first.total} connections were promised, {len(rows)} came")
    return rows, number
