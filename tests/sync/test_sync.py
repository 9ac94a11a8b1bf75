"""What a run brings, on each kind of destination: the records, changes of them, and what is gone."""

import json
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from tests.sync.fakemakini import FakeMakini, Hit, order, stamp
from tests.sync.program import ORDERS, Program
from tests.sync.reading import LINES, Destination, alive, compare, gone
from tests.sync.reading import ORDERS as TABLE


def test_records_and_lines_are_the_same_at_the_destination(
    fake: FakeMakini, program: Program, destination: Destination
) -> None:
    odd = order(50, title="a,b\t'c' \"d\"\\ \n\r NULL", customFields={"a": 1.5, "b": [True, None]}, totalNetValue=10)
    fake.put(ORDERS, *[order(i, lines=i % 4) for i in range(42)], odd)
    outcome = program.run()
    assert outcome.code == 0, outcome.log
    assert outcome.entity()["loaded"] == 43
    compare(fake, destination)
    assert destination.rows(TABLE)[0]["shipping_method"] is None  # documented, though no record has it


def test_changes_are_followed_and_nothing_else_is_written_again(
    fake: FakeMakini, program: Program, destination: Destination
) -> None:
    fake.put(ORDERS, *[order(i) for i in range(25)])
    first = program.run()
    fake.put(ORDERS, order(3, changed=100, lines=5, title="changed", shippingMethod="truck"))
    fake.put(ORDERS, order(99, changed=101, newField="of a later version"))
    second = program.run()
    assert (first.code, second.code) == (0, 0), second.log
    assert second.entity()["loaded"] == 2
    compare(fake, destination)
    runs = {row["_makini_run"] for key, row in alive(destination, TABLE).items() if key not in {"po-3", "po-99"}}
    assert runs == {first.result["run"]}
    third = program.run()
    assert (third.code, third.entity()["loaded"]) == (0, 0)


def test_what_is_gone_stays_and_is_marked_and_comes_back(
    fake: FakeMakini, program: Program, destination: Destination
) -> None:
    fake.put(ORDERS, *[order(i) for i in range(25)])
    assert program.run().code == 0
    lost = fake.records[ORDERS].pop("po-7")
    fake.put(ORDERS, order(3, changed=100, lines=1))
    outcome = program.run("--full")
    assert outcome.code == 0, outcome.log
    assert (outcome.entity()["gone"], outcome.entity()["compared"]) == (1, True)
    assert gone(destination, TABLE) == {"po-7"}
    assert gone(destination, LINES) == {"po-7/po-7-1", "po-7/po-7-2", "po-7/po-7-3", "po-3/po-3-2", "po-3/po-3-3"}
    compare(fake, destination)
    fake.put(ORDERS, lost)
    assert program.run("--full").code == 0
    compare(fake, destination)
    assert gone(destination, TABLE) == set()


def test_a_full_sync_deletes_no_row_even_if_the_source_is_empty(
    fake: FakeMakini, program: Program, destination: Destination
) -> None:
    fake.put(ORDERS, *[order(i) for i in range(25)])
    assert program.run().code == 0
    fake.records.clear()
    doubted = program.run("--full")
    assert (doubted.code, doubted.result["reason"]) == (1, "TooManyGone")
    assert gone(destination, TABLE) == set()
    accepted = program.run("--full", "--accept-gone")
    assert (accepted.code, accepted.entity()["gone"]) == (0, 25)
    assert (len(destination.rows(TABLE)), len(destination.rows(LINES))) == (25, 75)
    assert alive(destination, TABLE) == {}


def test_lines_that_are_not_told_stay_as_they_are_and_an_empty_list_marks_them(
    fake: FakeMakini, program: Program, destination: Destination
) -> None:
    fake.put(ORDERS, *[order(i) for i in range(12)])
    assert program.run().code == 0
    silent = [{**order(i, changed=100 + i, title="changed"), "lineItems": None} for i in range(1, 12)]
    del silent[5]["lineItems"]
    fake.put(ORDERS, order(0, changed=100, lines=0, title="changed"), *silent)
    outcome = program.run()
    assert outcome.code == 0, outcome.log
    assert {row["title"] for row in alive(destination, TABLE).values()} == {"changed"}
    assert gone(destination, LINES) == {"po-0/po-0-1", "po-0/po-0-2", "po-0/po-0-3"}
    assert (outcome.entity()["gone"], outcome.entity()["goneLines"]) == (0, 3)
    fake.put(ORDERS, *[order(i, changed=200 + i, lines=2) for i in range(12)])
    assert program.run().entity()["goneLines"] == 11
    compare(fake, destination)


@pytest.mark.parametrize("kind", ["postgres"], indirect=True)
def test_lines_of_which_most_are_gone_at_once_are_doubted_until_accepted_or_back(
    fake: FakeMakini, program: Program, destination: Destination
) -> None:
    fake.put(ORDERS, *[order(i) for i in range(12)])
    assert program.run().code == 0
    fake.put(ORDERS, *[order(i, changed=100 + i, lines=0, title="changed") for i in range(8)])
    for options in ([], ["--overlap", "none"]):
        doubted = program.run(*options)
        assert (doubted.code, doubted.result["reason"]) == (1, "TooManyGone")
        assert "24 of 36 rows of erp_purchase_orders_line_items" in doubted.result["message"]
        assert gone(destination, LINES) == set()
        assert alive(destination, TABLE)["po-7"]["title"] == "changed"
    fake.put(ORDERS, *[order(i, changed=200 + i, lines=2) for i in range(4)])
    again = program.run("--overlap", "none")
    assert (again.code, again.entity()["goneLines"]) == (0, 16), again.log
    compare(fake, destination)
    fake.put(ORDERS, *[order(i, changed=300 + i, lines=0) for i in range(12)])
    assert program.run().result["reason"] == "TooManyGone"
    assert program.run("--accept-gone").entity()["goneLines"] == 20
    compare(fake, destination)


@pytest.mark.parametrize("kind", ["postgres"], indirect=True)
@pytest.mark.parametrize("mode", [["--full"], ["--no-cursor", ORDERS]], ids=["full", "no-cursor"])
def test_of_another_system_nothing_is_loaded_until_it_is_accepted(
    mode: list[str], fake: FakeMakini, program: Program, destination: Destination
) -> None:
    fake.put(ORDERS, *[order(i) for i in range(20)])
    assert program.run(*mode).code == 0
    before = destination.rows(TABLE)
    fake.records[ORDERS].clear()
    fake.put(ORDERS, *[order(i, changed=100 + i) for i in range(18, 40)])
    for _ in range(2):
        doubted = program.run(*mode)
        assert (doubted.code, doubted.result["reason"]) == (1, "TooManyGone")
        assert "20 of the 22 that it shows were never there" in doubted.result["message"]
        assert doubted.result["message"].endswith("--accept-gone")
        assert destination.rows(TABLE) == before
    accepted = program.run(*mode, "--accept-gone")
    assert (accepted.code, accepted.entity()["gone"]) == (0, 18)
    compare(fake, destination)


@pytest.mark.parametrize("kind", ["postgres"], indirect=True)
@pytest.mark.parametrize("mode", [[], ["--no-cursor", ORDERS]], ids=["cursor", "no-cursor"])
def test_while_most_records_are_missing_changes_are_loaded_and_runs_fail_until_accepted_or_back(
    mode: list[str], fake: FakeMakini, program: Program, destination: Destination
) -> None:
    fake.put(ORDERS, *[order(i, changed=1000 * i) for i in range(20)])
    assert program.run(*mode).code == 0
    everything = dict(fake.records[ORDERS])
    for i in range(12):
        del fake.records[ORDERS][f"po-{i}"]
    cursor = destination.state()[ORDERS].get("cursor", "")
    for attempt in range(2):
        fake.put(ORDERS, order(19, changed=50_000 + attempt, title=f"changed {attempt}"))
        doubted = program.run(*mode, "--compare-every", "never", *([] if attempt else ["--full"]))
        assert (doubted.code, doubted.result["reason"]) == (1, "TooManyGone")
        assert "--accept-gone" in doubted.result["message"]
        assert "makini.io/accept-gone-requested-at" in doubted.result["message"]
        assert (doubted.entity()["loaded"], doubted.entity()["compared"]) == (1, False)
        assert alive(destination, TABLE)["po-19"]["title"] == f"changed {attempt}"
        assert gone(destination, TABLE) == set()
        assert mode or destination.state()[ORDERS]["cursor"] > cursor
        cursor = destination.state()[ORDERS].get("cursor", "")
    fake.records[ORDERS] = everything | fake.records[ORDERS]
    back = program.run(*mode, "--compare-every", "never")
    assert (back.code, back.entity()["gone"], back.entity()["compared"]) == (0, 0, True)
    compare(fake, destination)
    for i in range(12):
        del fake.records[ORDERS][f"po-{i}"]
    assert program.run(*mode, "--full").code == 1
    assert program.run(*mode, "--accept-gone").entity()["gone"] == 12
    compare(fake, destination)


def test_an_entity_without_a_cursor_is_read_whole_and_only_differences_are_written(
    fake: FakeMakini, program: Program, destination: Destination
) -> None:
    fake.put("erp/uom", *[{"key": f"u{i}", "name": f"unit {i}", "code": str(i)} for i in range(23)])
    assert program.run(entities=("erp/uom",)).code == 0
    assert program.run(entities=("erp/uom",)).entity("erp/uom")["loaded"] == 0
    fake.put("erp/uom", {"key": "u1", "name": "changed", "code": "1"})
    del fake.records["erp/uom"]["u2"]
    outcome = program.run(entities=("erp/uom",))
    assert (outcome.entity("erp/uom")["loaded"], outcome.entity("erp/uom")["gone"]) == (1, 1)
    assert gone(destination, "erp_uom") == {"u2"}
    assert alive(destination, "erp_uom")["u1"]["name"] == "changed"


@pytest.mark.parametrize("kind", ["postgres"], indirect=True)
def test_the_first_run_reaches_back_the_window_and_a_later_one_compares_only_within_it(
    fake: FakeMakini, program: Program, destination: Destination
) -> None:
    fake.put(ORDERS, *[order(i, changed=i * 86_400) for i in range(20)])
    program.run("--window", "1d")  # everything is older than a day but what is dated later
    old = program.run("--window", "all", "--full")
    assert old.code == 0, old.log
    compare(fake, destination)


@pytest.mark.parametrize("kind", ["postgres"], indirect=True)
def test_a_record_dated_into_the_future_hides_no_later_change(
    fake: FakeMakini, program: Program, destination: Destination
) -> None:
    fake.put(ORDERS, *[order(i) for i in range(12)], order(77, updatedAt="2099-01-01T00:00:00Z"))
    assert program.run().code == 0
    fake.put(ORDERS, order(5, updatedAt="2026-12-31T00:00:00Z", title="changed"))
    assert program.run().code == 0
    compare(fake, destination)


@pytest.mark.parametrize("kind", ["postgres"], indirect=True)
def test_a_new_connection_id_of_the_same_owner_continues_and_another_owner_is_refused(
    fake: FakeMakini, program: Program, destination: Destination
) -> None:
    fake.put(ORDERS, *[order(i) for i in range(12)])
    assert program.run().code == 0
    fake.put(ORDERS, order(12))
    again = program.run(connection="conn-2")
    assert (again.code, again.entity()["loaded"], again.entity()["compared"]) == (0, 1, True)
    compare(fake, destination)
    other = program.run("--owner", "shop/other")
    assert (other.code, other.result["reason"]) == (2, "BadSettings")
    assert "shop/acme" in other.result["message"]


@pytest.mark.parametrize("kind", ["postgres"], indirect=True)
def test_one_entity_that_fails_keeps_no_other_from_syncing(
    fake: FakeMakini, program: Program, destination: Destination
) -> None:
    fake.put(ORDERS, *[order(i) for i in range(12)])
    fake.put("erp/vendors", {"key": "v1", "name": "V", "updatedAt": None})
    outcome = program.run(entities=("erp/vendors", ORDERS))
    assert (outcome.code, outcome.entity("erp/vendors")["result"], outcome.entity()["result"]) == (
        1,
        "Failed",
        "Succeeded",
    )
    assert "--no-cursor erp/vendors" in outcome.entity("erp/vendors")["message"]
    compare(fake, destination)
    assert program.run("--no-cursor", "erp/vendors", entities=("erp/vendors",)).code == 0


@pytest.mark.parametrize("kind", ["postgres"], indirect=True)
def test_a_load_that_fails_fails_no_other_entity_and_is_done_by_the_next_run(
    fake: FakeMakini, program: Program, destination: Destination, postgres_server: str
) -> None:
    vendors = "erp/vendors"
    fake.put(ORDERS, *[order(i) for i in range(12)])
    fake.put(vendors, *[{"key": f"v{i}", "name": f"V {i}", "updatedAt": stamp(i)} for i in range(12)])
    assert program.run().code == 0
    fake.put(ORDERS, *[order(i, changed=100 + i) for i in range(12)])
    program.environment["MAKINI_SYNC_POSTGRES_DSN"] += "?options=-c%20lock_timeout%3D500"
    with closing(psycopg2.connect(postgres_server)) as other:
        other.cursor().execute(f'LOCK TABLE "{program.dataset}"."{TABLE}" IN SHARE MODE')
        outcome = program.run(entities=(ORDERS, vendors))
    assert (outcome.code, outcome.entity()["reason"]) == (5, "DestinationFailed"), outcome.log
    assert (outcome.entity(vendors)["result"], outcome.entity(vendors)["loaded"]) == ("Succeeded", 12)
    assert len(alive(destination, "erp_vendors")) == 12
    assert program.run(entities=(ORDERS, vendors)).code == 0
    compare(fake, destination)


@pytest.mark.parametrize("kind", ["duckdb"], indirect=True)
def test_an_entity_leaves_nothing_on_the_scratch_disk_for_the_next(fake: FakeMakini, program: Program) -> None:
    fake.put(ORDERS, *[order(i) for i in range(95)])
    fake.put("erp/vendors", {"key": "v1", "name": "V", "updatedAt": stamp(1)})
    left: dict[str, list[str]] = {}

    def look(hit: Hit) -> None:
        found = [path for path in (program.folder / "work").rglob("*") if path.is_file()]
        left[hit.entity] = sorted(path.name for path in found if path.stat().st_size > 1000)

    fake.fault = look
    assert program.run(entities=(ORDERS, "erp/vendors")).code == 0
    assert left == {ORDERS: ["erp_purchase_orders.sqlite"], "erp/vendors": ["erp_vendors.sqlite"]}
    assert list((program.folder / "work").iterdir()) == []


@pytest.mark.parametrize("kind", ["duckdb"], indirect=True)
def test_the_result_is_one_line_also_in_a_file_and_progress_is_told(
    fake: FakeMakini, program: Program, tmp_path: Path
) -> None:
    fake.put(ORDERS, *[order(i) for i in range(95)])
    outcome = program.run("--result-file", str(tmp_path / "log"), "--progress-every", "0.1", "--page-size", "1")
    assert json.loads((tmp_path / "log").read_text()) == outcome.result
    assert "records/s" in outcome.log
    assert outcome.result["entities"][0]["cursor"].startswith(stamp(94)[:-1])


@pytest.mark.parametrize("kind", ["postgres"], indirect=True)
def test_no_secret_is_told_when_everything_fails(fake: FakeMakini, program: Program) -> None:
    fake.tokens.clear()
    refused = program.run()
    assert (refused.code, refused.result["reason"]) == (4, "TokenRefused")
    program.environment["MAKINI_SYNC_POSTGRES_DSN"] += "-there-is-none"
    lost = program.run()
    assert (lost.code, lost.result["reason"]) == (5, "DestinationFailed")
    told = json.dumps([refused.result, lost.result]) + refused.log + lost.log
    assert "canary-password" not in told
    assert program.token_file.read_text() not in told


LONG = "aFieldOfTheCustomersOwnWhoseNameGoesOnAndOnUntilNoDatabaseTakesItWhole"


def test_fields_of_unusual_names_arrive_and_keep_arriving(
    fake: FakeMakini, program: Program, destination: Destination
) -> None:
    fields: dict[str, str | None] = {"3dModel": "a.stl", LONG: "a", f"{LONG}2": None}
    fake.put(ORDERS, *[order(i, **fields) for i in range(12)])
    assert program.run().code == 0
    fake.put(ORDERS, order(3, changed=100, **fields | {LONG: "b", f"{LONG}2": "c"}))
    again = program.run()
    assert (again.code, again.entity()["loaded"]) == (0, 1), again.log
    row = alive(destination, TABLE)["po-3"]
    assert row["_3d_model"] == "a.stl"
    assert "3d_model" not in row
    assert sorted(value for name, value in row.items() if name.startswith("a_field_of")) == ["b", "c"]
