"""Rules 2, 10 and 11: listings of an account, and the sweep that follows them."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.moves import Step, leads, remember, uids, with_proc
from tests.model.rules import Rules, Scenario
from tests.model.state import Index, Listing, Proc, State, put


def lists(s: State, p: int, a: int, rules: Rules, scenario: Scenario) -> Iterator[Step]:
    """A listing begins, is complete, or does both at once; what has lost its owner is then swept."""
    proc = s.procs[p]
    assert proc is not None
    index = proc.indexes[a]
    mine = frozenset(k for k, account in enumerate(scenario.accounts) if account == a and leads(proc, k))
    if not mine:
        return
    rows = frozenset(row for row in s.alive if row.account == a)
    if index.listing is not None:
        done = _completed(proc, a, index.listing, rules)
        yield Step(6, f"P{p} completes the listing of account {a}", with_proc(s, p, done))
    elif index.known != rows or index.doubts or index.missing or not mine <= proc.trusted:
        listing = Listing(rows, mine, missing=index.missing)
        if scenario.slow_listing:
            begun = _with_index(proc, a, index._replace(listing=listing))
            yield Step(6, f"P{p} begins to list account {a}", with_proc(s, p, begun))
        else:
            ids = sorted(row.rid for row in rows)
            yield Step(6, f"P{p} lists account {a}: {ids}", with_proc(s, p, _completed(proc, a, listing, rules)))
    if not rules.list_account and not mine <= proc.trusted:
        yield Step(6, f"P{p} grants without a listing", with_proc(s, p, proc._replace(trusted=proc.trusted | mine)))
    yield from _sweeps(s, p, a, rules)


def _completed(proc: Proc, a: int, listing: Listing, rules: Rules) -> Proc:
    known = frozenset(row for row in listing.rows if row.rid not in listing.closed) | listing.opened
    asked = listing.missing if rules.twice else proc.indexes[a].missing
    absent = (asked | proc.indexes[a].absent) - {row.rid for row in known}
    remembered = frozenset(c.cid for c in proc.cache if c)
    proc = _with_index(proc, a, Index(known, listing.doubts, absent=absent & remembered))
    return proc._replace(trusted=proc.trusted | listing.led)


def _with_index(proc: Proc, a: int, index: Index) -> Proc:
    return proc._replace(indexes=put(proc.indexes, a, index))


def _sweeps(s: State, p: int, a: int, rules: Rules) -> Iterator[Step]:
    """What is alive and belongs to nobody is disconnected, by a read made after the listing."""
    proc = s.procs[p]
    assert proc is not None
    index = proc.indexes[a]
    owners = uids(proc.cache)
    if not rules.sweep or all(row.uid in owners for row in index.known):
        return
    if rules.sweep_reads:
        for i, conn in enumerate(s.conns):
            proc = remember(proc, i, conn)
        owners = uids(s.conns)
    lost = frozenset(row for row in index.known if row.uid not in owners)
    known = index.known - lost
    listing = index.listing and index.listing._replace(closed=index.listing.closed | {row.rid for row in lost})
    after = _with_index(proc, a, index._replace(known=known, listing=listing))
    label = f"P{p} sweeps {sorted(row.rid for row in lost)}"
    owned = sorted(row.rid for row in lost if row.uid in uids(s.conns))
    wrong = f"{owned} is swept and has an owner" if owned else ""
    yield Step(7, label, with_proc(s._replace(alive=s.alive - lost), p, after), wrong)
