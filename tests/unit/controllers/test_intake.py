"""What kopf hears comes over in order, in portions, and one that fails keeps nothing back."""

import asyncio
import threading

from makini_operator.controllers.handlers import _Intake
from makini_operator.kube.api import TAKEN_AT_ONCE

MANY = 10 * TAKEN_AT_ONCE


async def test_everything_comes_over_in_order_and_others_run_in_between() -> None:
    loop = asyncio.get_running_loop()
    intake, taken, done = _Intake(loop), list[int](), asyncio.Event()
    seen_between = set[int]()

    def take(number: int) -> None:
        taken.append(number)
        if number == MANY - 1:
            done.set()

    def put_all() -> None:
        for number in range(MANY):
            intake.put(lambda number=number: take(number))

    thread = threading.Thread(target=put_all)
    thread.start()
    thread.join()
    async with asyncio.timeout(10):
        while not done.is_set():
            seen_between.add(len(taken))
            await asyncio.sleep(0)
    assert taken == list(range(MANY))
    assert len(seen_between) >= MANY / TAKEN_AT_ONCE - 1


async def test_one_that_fails_is_reported_and_the_others_come_over() -> None:
    loop = asyncio.get_running_loop()
    reported: list[str] = []
    loop.set_exception_handler(lambda _, context: reported.append(str(context["exception"])))
    intake, done = _Intake(loop), asyncio.Event()

    def fail() -> None:
        raise ValueError("unreadable")

    intake.put(fail)
    intake.put(done.set)
    async with asyncio.timeout(10):
        await done.wait()
    assert reported == ["unreadable"]
