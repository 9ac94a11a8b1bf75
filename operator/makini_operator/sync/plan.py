"""What one run has to read of an entity, and what it may conclude. Pure.

State of an entity at the destination: `since` (the floor: nothing that changed before it is read), `cursor` (what
changed before it is loaded), `compared_at` (when all keys were last seen), `connection` (which it was read from), and
`loading` while a load is under way, with `loading_from`, the `lower` of that load if it was no whole one. `doubted` is
since when so much is missing that it is not marked: until it is, or is back, every run is a comparison.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from makini_operator.sync.destinations.base import State
from makini_operator.sync.entities import Entity
from makini_operator.sync.times import format_time, parse_time


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What the run was asked for. `window` None: everything; `compare_every` None: only in a full re-sync."""

    window: timedelta | None
    overlap: timedelta
    compare_every: timedelta | None
    is_full: bool


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that changed since `lower` is read. `compares`: what is not seen is gone. `believes`: so are digests."""

    lower: datetime | None
    since: datetime | None
    compares: bool
    is_whole: bool
    believes: bool
    is_first: bool


def plan(entity: Entity, state: State, wishes: Wishes, *, connection: str, now: datetime) -> Plan:
    """Return what is to be read of an entity in this run."""
    # What an interrupted load left is of two versions: all that it would have written is read again, and written.
    believes = "loading" not in state
    if entity.cursor is None:
        is_first = "compared_at" not in state
        return Plan(lower=None, since=None, compares=not is_first, is_whole=True, believes=believes, is_first=is_first)
    since = _since(state, wishes, now)
    is_first = "cursor" not in state
    is_whole = (
        is_first
        or wishes.is_full
        or state.get("connection") != connection
        or (not believes and "loading_from" not in state)
        or "doubted" in state
        or _is_due(state, wishes, now)
    )
    if is_whole:
        lower = since
    else:
        lower = parse_time(state["cursor"]) - wishes.overlap
        lower = max(lower, since) if since else lower
        lower = min(lower, parse_time(state["loading_from"])) if not believes else lower
    return Plan(
        lower=lower,
        since=since,
        compares=is_whole and not is_first,
        is_whole=is_whole,
        believes=believes,
        is_first=is_first,
    )


def loading_state(plan: Plan, state: State, *, run: str, connection: str) -> State:
    """Return an entity's state while a load is under way: all as before, but for what it may leave if interrupted.

    The next run then reads at least as far back as this one, believing no digest: a record's own row may be of the new
    version, and its lines of the old. An interrupted first load leaves rows that are as old as its floor. With a later
    floor, the next comparison would not ask for the oldest of them, and take them for gone.
    """
    made = {"connection": connection, **state, "loading": run}
    made = {name: value for name, value in made.items() if name not in {"since", "loading_from"}}
    if plan.since is not None:
        made["since"] = format_time(plan.since)
    if not plan.is_whole and plan.lower is not None:
        made["loading_from"] = format_time(plan.lower)
    return made


def next_state(
    plan: Plan,
    state: State,
    *,
    newest: datetime | None,
    source_time: datetime,
    connection: str,
    now: datetime,
    is_doubted: bool = False,
) -> State:
    """Return an entity's state after a run that saw everything it was to see, and loaded it.

    `is_doubted`: what is missing was not marked as gone, so nothing counts as compared.

    The cursor never passes the source's own clock: a record that is dated into the future must not hide what changes
    until then.
    """
    known = parse_time(state["cursor"]) if state.get("cursor") else None
    reached = min(newest, source_time) if newest else None
    cursor = max(filter(None, [known, reached]), default=None)
    made: State = {"connection": connection}
    if plan.since is not None:
        made["since"] = format_time(plan.since)
    if cursor is not None:
        made["cursor"] = cursor.isoformat(timespec="microseconds")
    if plan.is_whole and not is_doubted:
        made["compared_at"] = format_time(now)
    elif "compared_at" in state:
        made["compared_at"] = state["compared_at"]
    if is_doubted:
        made["doubted"] = state.get("doubted", format_time(now))
    return made


def _since(state: State, wishes: Wishes, now: datetime) -> datetime | None:
    asked = now - wishes.window if wishes.window is not None else None
    # A state with a connection but no floor was read without one.
    kept = parse_time(state["since"]) if state.get("since") else None
    has_none = "connection" in state and kept is None
    if has_none or (asked is None and (wishes.is_full or kept is None)):
        return None
    if kept is None:
        return asked
    return min(kept, asked) if wishes.is_full and asked is not None else kept


def _is_due(state: State, wishes: Wishes, now: datetime) -> bool:
    if wishes.compare_every is None:
        return False
    return "compared_at" not in state or parse_time(state["compared_at"]) + wishes.compare_every <= now
