"""What a run says of itself fits where it is kept, and is explained in the docs."""

import json
import re
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest

from makini_operator.cli.sync import sync
from makini_operator.sync.destinations.base import checked_dataset
from makini_operator.sync.entities import all_entities, find_entity
from makini_operator.sync.envelope import Page
from makini_operator.sync.errors import BadSettings, NotWhole, SyncError
from makini_operator.sync.progress import Progress
from makini_operator.sync.report import MAX_BYTES, EntityResult, Report
from makini_operator.sync.source import checked_url

PAGE = Path(__file__).parents[3] / "docs" / "syncs.md"


def report(count: int) -> Report:
    made = Report(run="r", dataset="d", connection="c", started=datetime(2026, 11, 25, tzinfo=UTC))
    made.entities = [EntityResult(entity=f"erp/e{i}", result="Succeeded", read=10**9) for i in range(count)]
    return made


def test_a_success_is_told_with_its_entities() -> None:
    told = json.loads(report(2).line())
    assert (told["result"], [entity["entity"] for entity in told["entities"]]) == ("Succeeded", ["erp/e0", "erp/e1"])


def test_lines_that_were_marked_are_told_if_there_are_any() -> None:
    made = report(2)
    made.entities[1].gone_lines = 7
    told = json.loads(made.line())
    assert [entity.get("goneLines") for entity in told["entities"]] == [None, 7]
    assert not any("gone_lines" in entity for entity in told["entities"])


def test_a_long_report_fits_into_a_termination_message_and_keeps_what_failed() -> None:
    made = report(75)
    made.entities[40].result, made.entities[40].message = "Failed", "ü" * 5000
    made.fail(NotWhole("ü" * 5000))
    line = made.line()
    told = json.loads(line)
    assert len(line.encode()) <= MAX_BYTES
    assert told["entitiesLeftOut"] + len(told["entities"]) == 75
    assert "erp/e40" in {entity["entity"] for entity in told["entities"]}


def test_the_first_failure_names_the_run() -> None:
    made = report(1)
    made.fail(NotWhole("first"))
    made.fail(BadSettings("second"))
    assert (made.exit_code, json.loads(made.line())["message"]) == (1, "first")


def kinds(of: type[SyncError] = SyncError) -> set[tuple[str, str]]:
    below = [kinds(kind) for kind in of.__subclasses__() if not kind.__name__.startswith("_")]
    return {(str(of.exit_code), of.reason)}.union(*below)


def test_the_docs_explain_every_reason_with_its_code_and_no_other() -> None:
    rows = re.findall(r"^\| (\d+) \| ([^|]*) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    told = {(code, reason) for code, names in rows for reason in re.findall(r"`(\w+)`", names)}
    assert told == kinds()


def test_the_docs_name_only_options_that_exist_with_their_defaults() -> None:
    text = PAGE.read_text(encoding="utf-8").split("## The program")[1]
    options = {name: parameter.default for parameter in sync.params for name in parameter.opts}
    assert set(re.findall(r"`(--[a-z][a-z-]+)", text)) - {"--help"} <= set(options)
    reading = text.split("## What it writes")[0]
    for name, default in re.findall(r"^\| `(--[a-z-]+)` \| `?(\w+)`? \|", reading, re.MULTILINE):
        assert str(options[name]) == default, name


def test_each_option_has_the_variable_of_its_name() -> None:
    for parameter in sync.params:
        (option,) = parameter.opts
        assert option == "--" + str(parameter.name).replace("_", "-")


def test_the_docs_count_the_entities() -> None:
    assert f"{len(all_entities())} lists" in PAGE.read_text(encoding="utf-8")
    whole = {entity.name for entity in all_entities() if entity.cursor is None}
    assert (
        set(re.findall(r"`((?:erp|eam)/[a-z-]+)`", PAGE.read_text(encoding="utf-8").split("--no-cursor")[0])) == whole
    )


def test_an_unknown_entity_is_answered_with_similar_ones() -> None:
    with pytest.raises(ValueError, match="did you mean erp/purchase-orders"):
        find_entity("erp/purchaseorders")


@pytest.mark.parametrize(
    "url",
    ["http://makini.example", "ftp://makini.example", "https://", "https://u:p@makini.example", "https://m/?a=1", ""],
)
def test_a_url_that_would_leak_the_token_is_refused(url: str) -> None:
    with pytest.raises(BadSettings, match="--url") as caught:
        checked_url(url)
    assert "p@" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["https://api.makini.io", "http://127.0.0.1:8500/", "http://[::1]:1", "http://makini-sandbox.makini-system.svc"],
)
def test_urls_that_are_good(url: str) -> None:
    assert checked_url(url) == url.rstrip("/")


def test_a_terminal_shows_a_bar_and_the_log_a_line_every_few_seconds(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    terminal = StringIO()
    progress = Progress(every=5, terminal=terminal, clock=lambda: now[0])
    progress.start("erp/uom")
    with caplog.at_level("INFO"):
        for number in range(1, 12):
            now[0] += 1
            progress.page(Page(number=number, total=20, per_page=2, records=()))
    assert "] 3/10 pages" in terminal.getvalue()
    assert [record.message for record in caplog.records] == [
        "erp/uom: page 5 of 10, 0 records, 0 records/s",
        "erp/uom: page 10 of 10, 0 records, 0 records/s",
    ]


@pytest.mark.parametrize("name", ["Acme", "1a", "", "a-b", "a" * 41, "pg_x", "acme_staging", "public", 'a"; DROP'])
def test_a_dataset_that_is_no_name_or_anothers_is_refused(name: str) -> None:
    with pytest.raises(BadSettings, match="--dataset"):
        checked_dataset(name)
