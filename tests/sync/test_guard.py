"""A run against a source that misbehaves either brings every record or fails and moves no cursor."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.sync.fakemakini import TOKEN, Answer, FakeMakini, Fault, Hit, order
from tests.sync.program import ORDERS, Outcome, Program
from tests.sync.reading import ORDERS as TABLE
from tests.sync.reading import Destination, alive, compare, gone

COUNT = 45  # five pages
pytestmark = pytest.mark.parametrize("kind", ["postgres"], indirect=True)


@pytest.fixture(autouse=True)
def orders(fake: FakeMakini) -> Iterator[None]:
    fake.put(ORDERS, *[order(i) for i in range(COUNT)])
    yield
    fake.fault = None


def on_page(number: int, change: Callable[[dict[str, Any]], object]) -> Fault:
    """A fault that changes the envelope of one page."""

    def fault(hit: Hit) -> Answer | None:
        if hit.page == number:
            change(hit.envelope)
        return None

    return fault


def body_of_page(number: int, body: Callable[[Hit], bytes], status: int = 200, **headers: str) -> Fault:
    def fault(hit: Hit) -> Answer | None:
        return (status, headers, body(hit)) if hit.page == number else None

    return fault


def whole(hit: Hit) -> bytes:
    return json.dumps(hit.envelope).encode()


def drop_data(envelope: dict[str, Any]) -> None:
    del envelope["data"], envelope["meta"]


class RepeatFirst:
    """The records of the first page on the second, with the second one's meta."""

    def __init__(self) -> None:
        self._first: list[Any] = []

    def __call__(self, hit: Hit) -> Answer | None:
        if hit.page == 1:
            self._first = list(hit.envelope["data"])
        if hit.page == 2:
            hit.envelope["data"] = self._first
        return None


FAULTS = {
    "a page without data and meta": on_page(3, drop_data),
    "a page without meta": on_page(3, lambda e: e.pop("meta")),
    "an empty page with its meta": on_page(3, lambda e: e["data"].clear()),
    "a page without data": on_page(3, lambda e: e.pop("data")),
    "data that is null": on_page(3, lambda e: e.update(data=None)),
    "a short page": on_page(3, lambda e: e["data"].pop()),
    "a long page": on_page(3, lambda e: e["data"].append(order(999))),
    "another page's number": on_page(3, lambda e: e["meta"].update(current_page=2)),
    "a total that is too small": on_page(3, lambda e: e["meta"].update(total=20)),
    "fewer pages than the total needs": on_page(3, lambda e: e["meta"].update(last_page=3)),
    "a key twice": on_page(3, lambda e: e["data"].__setitem__(0, e["data"][1])),
    "a record without a key": on_page(3, lambda e: e["data"].__setitem__(0, {"updatedAt": "2026-11-01T08:00:00Z"})),
    "lines that are not a list": on_page(3, lambda e: e["data"].__setitem__(0, {**e["data"][0], "lineItems": "three"})),
    "a page that repeats the first": RepeatFirst(),
    "an answer that is not JSON": body_of_page(3, lambda _: b"<html>maintenance</html>"),
    "half of an answer": body_of_page(3, lambda hit: whole(hit)[: len(whole(hit)) // 2]),
    "an answer that is cut off": body_of_page(3, lambda hit: whole(hit)[:500], **{"Content-Length": "5000"}),
    "always 503": body_of_page(3, lambda _: b"busy", 503),
    "500": body_of_page(3, lambda _: b"broken", 500),
    "403": body_of_page(3, lambda _: b"no", 403),
    "a redirect": body_of_page(3, lambda _: b"", 302, Location="http://127.0.0.1:9/elsewhere"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_that_stays_fails_the_run(
    fault: Fault, fake: FakeMakini, program: Program, destination: Destination
) -> None:
    fake.fault = fault
    assert_nothing_done(program.run("--attempts", "2"), destination)


COSTLY = [
    "a page without data and meta",
    "an empty page with its meta",
    "a short page",
    "a page that repeats the first",
]


def test_a_fault_in_a_later_run_moves_no_cursor(fake: FakeMakini, program: Program, destination: Destination) -> None:
    """The costly one: with the cursor moved, what was not seen would never be asked for again."""
    assert program.run().code == 0
    before = destination.state()[ORDERS]
    fake.put(ORDERS, *[order(i, changed=1000 + i, title="changed") for i in range(COUNT)])
    for name in COSTLY:
        fake.fault = FAULTS[name]
        failed = program.run("--attempts", "2")
        assert failed.code == 1, failed.log
        assert destination.state()[ORDERS] == before
    fake.fault = None
    assert program.run().code == 0
    compare(fake, destination)


def assert_nothing_done(failed: Outcome, destination: Destination) -> None:
    assert failed.code == 1, failed.log
    assert failed.entity()["result"] == "Failed"
    assert failed.result["message"]
    assert ORDERS not in destination.state()
    assert destination.rows(TABLE) == []


@pytest.mark.parametrize("fault", [FAULTS["a page without data and meta"], FAULTS["500"]], ids=["envelope", "500"])
def test_a_fault_that_passes_is_survived(
    fault: Fault, fake: FakeMakini, program: Program, destination: Destination
) -> None:
    met: list[int] = []

    def once(hit: Hit) -> Answer | None:
        if hit.page == 3 and not met:
            met.append(hit.number)
            return fault(hit)
        return None

    fake.fault = once
    assert program.run().code == 0
    assert met
    compare(fake, destination)


def test_retry_after_is_obeyed_and_one_that_is_too_long_ends_the_run(
    fake: FakeMakini, program: Program, destination: Destination
) -> None:
    met: list[int] = []

    def twice(hit: Hit) -> Answer | None:
        if hit.page == 2 and len(met) < 2:
            met.append(hit.number)
            return 429, {"Retry-After": "1"}, b"{}"
        return None

    fake.fault = twice
    outcome = program.run()
    assert outcome.code == 0
    assert outcome.entity()["seconds"] >= 2
    compare(fake, destination)
    fake.fault = body_of_page(1, lambda _: b"{}", 429, **{"Retry-After": "86400"})
    outcome = program.run()
    assert (outcome.code, outcome.result["reason"]) == (1, "SourceUnavailable")
    assert "86400 s" in outcome.result["message"]


def test_a_token_that_is_replaced_in_the_middle_is_read_again(
    fake: FakeMakini, program: Program, destination: Destination
) -> None:
    def rotate(hit: Hit) -> Answer | None:
        if hit.page == 3 and hit.token == TOKEN:
            fake.tokens = {"the-next-token"}
            program.token_file.write_text("the-next-token\n")
            return 401, {}, b"{}"
        return None

    fake.fault = rotate
    assert program.run().code == 0
    compare(fake, destination)
    assert {hit.token for hit in fake.hits} == {TOKEN, "the-next-token"}


def test_a_token_that_is_killed_in_the_middle_fails_the_run(
    fake: FakeMakini, program: Program, destination: Destination
) -> None:
    def kill(hit: Hit) -> Answer | None:
        if hit.page == 3:
            fake.tokens.clear()
            return 401, {}, json.dumps({"message": f"token {hit.token} is not valid"}).encode()
        return None

    fake.fault = kill
    outcome = program.run()
    assert (outcome.code, outcome.result["reason"]) == (4, "TokenRefused")
    assert TOKEN not in outcome.log + json.dumps(outcome.result)
    assert ORDERS not in destination.state()


def test_the_token_goes_nowhere_else(fake: FakeMakini, program: Program) -> None:
    fake.links_to = "http://127.0.0.2:9"
    assert program.run().code == 0  # links are not followed at all
    program.url = "http://makini.example"
    outcome = program.run()
    assert (outcome.code, outcome.result["reason"]) == (2, "BadSettings")
    assert "https" in outcome.result["message"]


def changing(fake: FakeMakini, change: Callable[[int], object]) -> Fault:
    """A fault that changes the records after each of the first answers, as users at the source do."""

    def fault(hit: Hit) -> Answer | None:
        answer = (200, {}, whole(hit))
        if hit.number <= 12:
            change(hit.number)
        return answer

    fake.hits.clear()
    return fault


def test_records_that_change_between_pages_are_not_missed(
    fake: FakeMakini, program: Program, destination: Destination
) -> None:
    fake.fault = changing(
        fake, lambda n: fake.put(ORDERS, *[order(i, changed=1000 + n, title=f"{n}") for i in range(n, n + 30, 9)])
    )
    assert program.run().code == 0
    fake.fault = None
    assert program.run().code == 0
    compare(fake, destination)


def test_records_that_vanish_between_pages_take_no_other_with_them(
    fake: FakeMakini, program: Program, destination: Destination
) -> None:
    fake.fault = changing(fake, lambda n: fake.records[ORDERS].pop(f"po-{COUNT - n}", None) if n < 5 else None)
    assert program.run().code == 0
    fake.fault = None
    assert program.run("--full").code == 0
    compare(fake, destination)


def test_a_list_that_is_not_sorted_as_asked_fails(fake: FakeMakini, program: Program, destination: Destination) -> None:
    fake.newest_first = False
    outcome = program.run()
    assert_nothing_done(outcome, destination)
    assert f"--no-cursor {ORDERS}" in outcome.result["message"]
    assert program.run("--no-cursor", ORDERS).code == 0
    compare(fake, destination)


def test_a_list_without_order_that_moves_is_read_again(
    fake: FakeMakini, program: Program, destination: Destination
) -> None:
    fake.fault = changing(fake, lambda n: fake.records[ORDERS].pop(f"po-{COUNT - n}", None) if n < 3 else None)
    assert program.run("--no-cursor", ORDERS).code == 0
    compare(fake, destination)


@pytest.mark.parametrize("size", ["10", "2"], ids=["short", "long"])
@pytest.mark.parametrize("mode", [["--full"], ["--no-cursor", ORDERS]], ids=["cursor", "no-cursor"])
def test_a_record_that_slips_by_between_two_pages_is_not_taken_for_gone(
    size: str, mode: list[str], fake: FakeMakini, program: Program, destination: Destination
) -> None:
    """One record leaves and one comes in behind all others: the total stands still, and no key comes twice."""
    first = mode if "--no-cursor" in mode else []
    assert program.run(*first).code == 0

    def slip(hit: Hit) -> Answer | None:
        answer = (200, {}, whole(hit))
        if hit.number == 2:
            leaves, late = ("po-0", order(99, changed=900_000)) if first else (f"po-{COUNT - 1}", order(99, changed=-5))
            fake.records[ORDERS].pop(leaves)
            fake.put(ORDERS, late)
        return answer

    fake.hits.clear()
    fake.fault = slip
    outcome = program.run(*mode, "--page-size", size)
    assert outcome.code == 0, outcome.log
    assert set(fake.records[ORDERS]) - {"po-99"} <= set(alive(destination, TABLE))
    # A short list is read until two readings agree; in a long one only what is missed is looked for again.
    assert len(gone(destination, TABLE)) == (1 if size == "10" and first else 0)
    fake.fault = None
    assert program.run(*mode).code == 0
    compare(fake, destination)


def test_a_run_with_nothing_new_reads_one_page_and_a_comparison_with_nothing_gone_each_page_as_often_as_needed(
    fake: FakeMakini, program: Program
) -> None:
    assert program.run("--page-size", "2").entity()["pages"] == 24  # a long list, once, and its front
    assert program.run("--overlap", "none").entity()["pages"] == 1
    assert program.run("--full", "--page-size", "2").entity()["pages"] == 24
    fake.records[ORDERS].pop("po-7")
    found = program.run("--full", "--page-size", "2").entity()
    assert (found["pages"], found["gone"]) == (46, 1)
