"""docs/sandbox.md is true: its commands run, its tables are complete, its examples are what they are said to be."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.harness.sandbox import Sandbox

from makini_operator.cli.sandbox import sandbox as command
from makini_operator.sandbox.entities.catalogue import ENTITIES, served
from makini_operator.sandbox.error_cases import ERROR_CASES
from makini_operator.sandbox.faults import Kind
from makini_operator.sandbox.records.library import Library

TEXT = (Path(__file__).parents[3] / "docs" / "sandbox.md").read_text()
BLOCKS = re.findall(r"```bash\n(.*?)```", TEXT, re.DOTALL)[1:]  # the first one starts the sandbox
SAID = ["PO-2026-0001", "4", "status-approved", "status-draft", "AUTHENTICATION_FAILED"]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Sandbox]:
    it = Sandbox(tmp_path)
    it.start()
    yield it
    it.stop()


def test_its_commands_do_what_it_says(running: Sandbox) -> None:
    script = "\n".join(BLOCKS).replace("http://127.0.0.1:8500", running.url)
    client = {"MAKINI_SANDBOX_CLIENT_ID": running.client_id, "MAKINI_SANDBOX_CLIENT_SECRET": running.client_secret}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env=os.environ | client, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:4] == SAID[:4]
    assert SAID[4] in lines[4]
    assert done.stdout.endswith('{"rules": 1}{"rules": 2}{"rules": 0}{"changed": 1}')


def test_its_tables_are_complete() -> None:
    for option in command.params:
        assert f"| `{option.opts[0]}" in TEXT, option.name
    for kind in Kind:
        assert f"`{kind}`" in TEXT
    for case in ERROR_CASES:
        row = f"| {case.title} | `{case.method} {case.path}` | {case.status} `{case.code}` |"
        assert row in TEXT, row
    assert f"{len(list(served('erp')))} lists of ERP and {len(list(served('eam')))} of EAM" in TEXT


def test_its_examples_are_what_they_are_said_to_be() -> None:
    library = Library()

    def state(entity: str, key: str) -> str:
        collection, states = library[entity], ENTITIES[entity].states
        index = collection.index(key)
        assert index is not None
        assert states is not None
        found = states.of(collection.make(index)["statusKey"])
        assert found is not None
        return found.code

    for entity, expected in {
        "purchase-orders": {"po-001": "draft", "po-002": "approved", "po-003": "completed", "po-004": "approved"},
        "work-orders": {"wo-001": "open", "wo-002": "scheduled", "wo-003": "in-progress", "wo-004": "completed"},
        "invoices": dict(zip((f"inv-doc-00{n}" for n in range(1, 5)), ("open", "approved", "paid", "disputed"),
                             strict=True)),
    }.items():  # fmt: skip
        assert {key: state(entity, key) for key in expected} == expected
    orders = library["purchase-orders"]
    assert ["customFields" in orders.make(index) for index in range(8)] == [False, True, False, False] * 2
    assert library["inventories"].make(6)["quantity"] == 0
    assert library["materials"].key(6) == "mat-gear-m2"
    assert library["products"].make(4)["quantity"] == "0"
    assert library["products"].key(4) == "product-gearbox"
