"""The work queue: one worker for a key, nothing forgotten, nothing done twice for nothing.

Time is the event loop's: delays are zero or patched away, and tests wait for events.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makini_operator.controllers.workqueue import WorkQueue, backoff

AN_HOUR = timedelta(hours=1)
AT_ONCE = timedelta(0)
PATIENCE = 10


class Work:
    """A reconcile that reports each beginning, and ends when it is told to."""

    def __init__(self) -> None:
        self.begun: asyncio.Queue[str] = asyncio.Queue()
        self.gates: dict[str, asyncio.Semaphore] = {}
        self.active: list[str] = []
        self.most = 0

    async def __call__(self, key: str) -> timedelta | None:
        self.active.append(key)
        self.most = max(self.most, len(self.active))
        self.begun.put_nowait(key)
        await self._gate(key).acquire()
        self.active.remove(key)
        return None

    def finish(self, key: str) -> None:
        self._gate(key).release()

    async def next(self) -> str:
        return await asyncio.wait_for(self.begun.get(), PATIENCE)

    def _gate(self, key: str) -> asyncio.Semaphore:
        return self.gates.setdefault(key, asyncio.Semaphore(0))


@asynccontextmanager
async def running(
    reconcile: Callable[[str], Awaitable[timedelta | None]], *, workers: int = 2, on_failure: Callable[[], None] = list
) -> AsyncIterator[WorkQueue]:
    queue = WorkQueue(reconcile, workers=workers, on_failure=on_failure)
    task = asyncio.create_task(queue.run())
    try:
        yield queue
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def turns(loops: int = 20) -> None:
    """Let everything that can run, run."""
    for _ in range(loops):
        await asyncio.sleep(0)


async def test_keys_are_worked_on_in_the_order_in_which_they_came() -> None:
    work = Work()
    async with running(work, workers=1) as queue:
        for key in "abc":
            queue.add(key)
            work.finish(key)
        assert [await work.next() for _ in "abc"] == ["a", "b", "c"]


async def test_a_key_that_comes_first_overtakes_also_when_it_waits_already_and_is_worked_on_once() -> None:
    work = Work()
    async with running(work, workers=1) as queue:
        queue.add("busy")
        await work.next()
        for key in "abc":
            queue.add(key)
        queue.add("c", first=True)
        queue.add("d", first=True)
        assert len(queue) == 4
        for key in ["busy", *"cdab"]:
            work.finish(key)
        assert [await work.next() for _ in "cdab"] == ["c", "d", "a", "b"]
        await turns()
        assert (work.begun.empty(), len(queue)) == (True, 0)


async def test_a_key_that_waits_is_worked_on_once_however_often_it_is_added() -> None:
    work = Work()
    async with running(work, workers=1) as queue:
        queue.add("busy")
        await work.next()
        for _ in range(5):
            queue.add("a")
        assert len(queue) == 1
        work.finish("a")
        work.finish("busy")
        assert await work.next() == "a"
        await turns()
        assert (work.begun.empty(), len(queue)) == (True, 0)


async def test_a_key_that_is_added_while_it_is_worked_on_is_worked_on_once_more_afterwards() -> None:
    work = Work()
    async with running(work, workers=3) as queue:
        queue.add("a")
        await work.next()
        for _ in range(5):
            queue.add("a")
        await turns()
        assert work.begun.empty()
        work.finish("a")
        assert await work.next() == "a"
        work.finish("a")
        await turns()
        assert (work.begun.empty(), work.active) == (True, [])


async def test_one_key_that_hangs_does_not_stop_the_others() -> None:
    work = Work()
    async with running(work, workers=2) as queue:
        queue.add("hangs")
        await work.next()
        for key in "ab":
            work.finish(key)
            queue.add(key)
        assert [await work.next(), await work.next()] == ["a", "b"]


async def test_no_more_than_so_many_are_worked_on_at_a_time() -> None:
    work = Work()
    async with running(work, workers=3) as queue:
        keys = [f"k{n}" for n in range(10)]
        for key in keys:
            queue.add(key)
        await turns()
        assert len(work.active) == 3
        for key in keys:
            work.finish(key)
        assert sorted([await work.next() for _ in keys]) == sorted(keys)
        assert work.most == 3


async def test_who_wants_to_be_asked_again_is_asked_again() -> None:
    seen: asyncio.Queue[str] = asyncio.Queue()

    async def reconcile(key: str) -> timedelta | None:
        seen.put_nowait(key)
        return AT_ONCE if seen.qsize() < 3 else None

    async with running(reconcile) as queue:
        queue.add("a")
        for _ in range(2):
            await asyncio.wait_for(seen.get(), PATIENCE)


async def test_a_key_with_a_delay_does_not_wait_for_it_when_it_is_added() -> None:
    work = Work()
    async with running(work) as queue:
        queue.add_after("a", AN_HOUR)
        assert len(queue) == 0
        queue.add("a")
        assert await work.next() == "a"
        work.finish("a")


async def test_a_new_delay_replaces_the_old_one() -> None:
    work = Work()
    async with running(work) as queue:
        queue.add_after("a", AN_HOUR)
        queue.add_after("a", AT_ONCE)
        assert await work.next() == "a"
        work.finish("a")
        await turns()
        assert work.begun.empty()


async def test_a_failure_is_counted_logged_and_tried_again_and_others_go_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pauses: list[int] = []

    def no_pause(failures: int, **_: timedelta) -> timedelta:
        pauses.append(failures)
        return AT_ONCE

    monkeypatch.setattr("makini_operator.controllers.workqueue.backoff", no_pause)
    failures: list[int] = []
    attempts, done = [0], asyncio.Event()

    async def reconcile(key: str) -> timedelta | None:
        if key == "good":
            return None
        attempts[0] += 1
        if attempts[0] in {1, 2, 3, 5}:
            raise RuntimeError("a bug")
        if attempts[0] == 4:
            return AT_ONCE
        done.set()
        return None

    with caplog.at_level(logging.ERROR):
        async with running(reconcile, workers=1, on_failure=lambda: failures.append(1)) as queue:
            queue.add("bad")
            queue.add("good")
            await asyncio.wait_for(done.wait(), PATIENCE)
    assert len(failures) == len(caplog.records) == 4
    assert pauses == [1, 2, 3, 1]


@given(st.integers(1, 100_000))
def test_pauses_double_up_to_a_limit_with_a_quarter_of_jitter(failures: int) -> None:
    first, longest = timedelta(seconds=1), timedelta(minutes=1)
    plain = min(2 ** min(failures - 1, 10), 60)
    pause = backoff(failures, first=first, longest=longest).total_seconds()
    assert 0.75 * plain - 0.001 <= pause <= 1.25 * plain + 0.001


async def test_a_closed_queue_takes_up_nothing_new_and_lets_what_is_under_way_end() -> None:
    work = Work()
    async with running(work, workers=1) as queue:
        queue.add("a")
        await work.next()
        closing = asyncio.create_task(queue.close(within=AN_HOUR))
        await turns()
        queue.add("b")
        assert not closing.done()
        work.finish("a")
        await asyncio.wait_for(closing, PATIENCE)
        await turns()
        assert (work.begun.empty(), work.active) == (True, [])


async def test_closing_does_not_wait_forever() -> None:
    work = Work()
    async with running(work) as queue:
        queue.add("hangs")
        await work.next()
        await asyncio.wait_for(queue.close(within=AT_ONCE), PATIENCE)
        assert work.active == ["hangs"]


async def test_an_idle_queue_closes_at_once() -> None:
    async with running(Work()) as queue:
        await asyncio.wait_for(queue.close(within=AN_HOUR), PATIENCE)
