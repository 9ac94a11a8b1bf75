"""What one Makini account has: the newest complete listing, and our own calls since.

Makini lists without filters and in small pages, so the account is listed rarely: once after
a take-over, after a call of unknown outcome, after disconnects (one listing confirms many),
and now and then. Listings are numbered; what must be confirmed names the first number that
can confirm it, so a listing that was already under way never counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from makini_operator.lifecycle.marker import Marker
from makini_operator.lifecycle.observation import RemoteView

DISCONNECTED = "disconnected"


@dataclass(frozen=True)
class Entry:
    """A connection at Makini; `since` is the listing that was newest when we opened it ourselves, else 0."""

    marker: Marker | None
    since: int = 0


class AccountIndex:
    """Connections of one account by id. `wake` is called when somebody wants a listing."""

    def __init__(self, *, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._entries: dict[str, Entry] = {}
        self._by_tag: dict[str, set[str]] = {}
        self._closed: dict[str, int] = {}
        self._needed: dict[str, int] = {}
        self._opening: dict[str, int] = {}
        self._missed: dict[str, tuple[int, str]] = {}
        self._asked: set[str] = set()
        self._begun = 0
        self._wanted = 0
        self.completed = 0
        self.owned = 0
        """Connections with a marker of this installation in the last complete listing."""
        self.unowned = 0
        """Connections that this installation did not open, in the last complete listing."""

    @property
    def is_wanted(self) -> bool:
        """Whether somebody waits for a listing that has not begun."""
        return self._wanted > self._begun

    def request(self) -> int:
        """Ask for a listing that begins from now on; returns its number."""
        self._wanted = self._begun + 1
        self._wake()
        return self._wanted

    def begin(self) -> int:
        """A listing begins now."""
        self._begun += 1
        return self._begun

    def complete(self, number: int, listed: Iterable[tuple[str, Marker | None]]) -> set[str]:
        """Take in a complete listing; returns the tags that changed, and those that somebody waits to know about."""
        asked, self._asked = self._asked, set()
        before = {i: entry.marker for i, entry in self._entries.items()}
        entries = {i: Entry(marker) for i, marker in listed if self._closed.get(i, -1) < number}
        for connection_id, entry in self._entries.items():
            if entry.since >= number:
                entries.setdefault(connection_id, entry)
        self._entries = entries
        self._by_tag = {}
        for connection_id, entry in entries.items():
            if entry.marker:
                self._by_tag.setdefault(entry.marker.tag, set()).add(connection_id)
        self._closed = {i: at for i, at in self._closed.items() if at >= number}
        self.completed = number
        self.owned = sum(1 for entry in entries.values() if entry.marker)
        self.unowned = len(entries) - self.owned
        missed = {tag for first, tag in self._missed.values() if first < number}
        self._missed = {i: (first, tag) for i, (first, tag) in self._missed.items() if first >= number - 1}
        return self._changed_tags(before) | self._settled_tags(number) | missed | asked

    def opened(self, connection_id: str, marker: Marker) -> None:
        """We opened this connection ourselves."""
        self._entries[connection_id] = Entry(marker, since=max(self._begun, 1))
        self._by_tag.setdefault(marker.tag, set()).add(connection_id)

    def closed(self, connection_id: str) -> None:
        """Makini confirmed this disconnect; only a listing from now on tells whether anything else is left."""
        entry = self._entries.pop(connection_id, None)
        self._closed[connection_id] = self._begun
        if entry and entry.marker:
            self._by_tag.get(entry.marker.tag, set()).discard(connection_id)
            self.doubt(entry.marker.tag)

    def doubt(self, tag: str) -> None:
        """A call for this tag may have had an effect: only a listing that begins from now on tells."""
        self._needed[tag] = self._begun + 1

    def opening(self, marker: Marker) -> None:
        """A connection is being opened, or may have been: in doubt, and counted until its outcome is known."""
        self._opening[marker.tag] = marker.amount
        self.doubt(marker.tag)

    def settle(self, tag: str) -> None:
        """The doubt is resolved: the outcome of the call is known after all."""
        self._needed.pop(tag, None)
        self._opening.pop(tag, None)

    def view(self, tag: str, *, recorded_id: str | None, is_wanted: bool = True, after: int = 1) -> RemoteView:
        """What is known of this tag; `after` is the first listing that its pool trusts.

        `is_wanted`: nobody has asked for a disconnect, so the absence of the recorded id would be news.
        Whoever sees an incomplete view is among the tags that the next complete listing returns.
        """
        ids = tuple(sorted(self._by_tag.get(tag, ())))
        is_complete = self.completed >= max(after, self._needed.get(tag, 1))
        if not is_complete:
            self._asked.add(tag)
        recorded = self._entries.get(recorded_id) if recorded_id else None
        is_unmarked = recorded is not None and (recorded.marker is None or recorded.marker.tag != tag)
        is_absent = False
        if recorded_id is not None and is_wanted and is_complete and not is_unmarked:
            is_absent = self._is_absent(recorded_id, ids, tag)
        return RemoteView(is_complete, ids, is_recorded_absent=is_absent, is_recorded_unmarked=is_unmarked)

    def alive(self) -> dict[str, int]:
        """Credits by tag of connections that are alive with our marker."""
        amounts: dict[str, int] = {}
        for entry in self._entries.values():
            if entry.marker:
                amounts[entry.marker.tag] = max(entry.marker.amount, amounts.get(entry.marker.tag, 0))
        return amounts

    def counted(self) -> dict[str, int]:
        """Credits by tag of connections that are alive, or may be because their opening is in doubt."""
        amounts = self.alive()
        for tag, amount in self._opening.items():
            amounts[tag] = max(amount, amounts.get(tag, 0))
        return amounts

    def home_of(self, tag: str) -> str:
        """The home in the markers with this tag; empty: nothing is alive with it."""
        found = (self._entries[i].marker for i in self._by_tag.get(tag, ()) if i in self._entries)
        return next((marker.home for marker in found if marker), "")

    def tag_at(self, connection_id: str) -> str | None:
        """The tag that this connection carries."""
        entry = self._entries.get(connection_id)
        return entry.marker.tag if entry and entry.marker else None

    def with_tag(self, tag: str) -> tuple[str, ...]:
        """Ids alive with this tag."""
        return tuple(sorted(self._by_tag.get(tag, ())))

    def _is_absent(self, recorded_id: str, ids: tuple[str, ...], tag: str) -> bool:
        """Missing in a complete listing, and again in one that began after that was noticed: paging can lose a row."""
        if recorded_id in ids:
            self._missed.pop(recorded_id, None)
            return False
        first, _ = self._missed.setdefault(recorded_id, (self._begun, tag))
        if self.completed > first:
            return True
        if max(self._begun, self._wanted) <= first:
            self.request()
        return False

    def _changed_tags(self, before: dict[str, Marker | None]) -> set[str]:
        after = {i: entry.marker for i, entry in self._entries.items()}
        differing = {i for i in before.keys() | after.keys() if before.get(i) != after.get(i)}
        markers = [m for i in differing for m in (before.get(i), after.get(i)) if m]
        return {marker.tag for marker in markers}

    def _settled_tags(self, number: int) -> set[str]:
        settled = {tag for tag, needed in self._needed.items() if needed <= number}
        for tag in settled:
            self.settle(tag)
        return settled
