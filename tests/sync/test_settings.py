"""How the program is told what to do, and what it says when that cannot be done."""

import json
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.sync.fakemakini import FakeMakini, order
from tests.sync.program import COMMAND, ORDERS, Program
from tests.sync.reading import Destination, compare

from makini_operator.cli.ending import scratch_folder
from makini_operator.cli.sync import sync
from makini_operator.sync.errors import BadSettings

pytestmark = pytest.mark.parametrize("kind", ["duckdb"], indirect=True)


def run(program: Program, command: list[str], variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env=program.full_environment | variables,
        cwd=program.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def hide(program: Program, code: str) -> None:
    """Run some code at the start of the program's Python."""
    folder = program.folder / "hidden"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(code)
    program.environment["PYTHONPATH"] = f"{folder}:{program.full_environment['PYTHONPATH']}"


def test_every_option_can_be_a_variable(fake: FakeMakini, program: Program, destination: Destination) -> None:
    fake.put(ORDERS, *[order(i) for i in range(12)])
    fake.put("erp/vendors", {"key": "v1", "name": "V", "updatedAt": None})
    command = program.command(entities=(ORDERS, "erp/vendors"))[len(COMMAND) + 1 :]
    told: dict[str, list[str]] = {}
    for option, value in zip(command[::2], command[1::2], strict=True):
        told.setdefault(f"MAKINI_SYNC_{option[2:].replace('-', '_').upper()}", []).append(value)
    assert {"MAKINI_SYNC_DESTINATION", "MAKINI_SYNC_ENTITY"} <= set(told)
    variables = {name: " ".join(values) for name, values in told.items()} | {
        "MAKINI_SYNC_FULL": "1",
        "MAKINI_SYNC_NO_CURSOR": "erp/vendors",
    }
    done = run(program, [*COMMAND, "sync"], variables)
    assert done.returncode == 0, done.stderr
    compare(fake, destination)
    assert len(destination.rows("erp_vendors")) == 1


@pytest.mark.usefixtures("kind")
def test_no_other_variable_is_taken() -> None:
    others = {"MAKINI_SYNC_KIND": "duckdb", "MAKINI_SYNC_ENTITIES": ORDERS}
    result = CliRunner().invoke(sync, ["--dataset", "acme", "--entity", ORDERS], env=others)
    assert (result.exit_code, "Missing option '--destination'" in result.output) == (2, True)
    result = CliRunner().invoke(sync, ["--dataset", "acme", "--destination", "duckdb"], env=others)
    assert (result.exit_code, "Missing option '--entity'" in result.output) == (2, True)


@pytest.mark.usefixtures("kind")
def test_a_window_that_no_calendar_holds_is_a_mistake_of_usage() -> None:
    result = CliRunner().invoke(
        sync, ["--dataset", "acme", "--destination", "duckdb", "--entity", ORDERS, "--window", "999999d"]
    )
    assert result.exit_code == 2
    assert "expected a duration of at most 36500d" in result.output


def test_where_nothing_can_be_kept_meanwhile_the_result_says_so(program: Program) -> None:
    with pytest.raises(BadSettings, match="--work-dir or the variable TMPDIR"), scratch_folder(Path("/proc/self")):
        pass
    hide(program, "import tempfile\ntempfile.tempdir = '/proc/self'\n")
    command = program.command()
    at = command.index("--work-dir")
    done = run(program, [*command[:at], *command[at + 2 :]], {})
    assert (done.returncode, json.loads(done.stdout)["reason"]) == (2, "BadSettings")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("library", ["dlt", "duckdb"])
def test_a_missing_library_is_named_with_what_to_install(library: str, program: Program) -> None:
    hide(program, f"import sys\nsys.modules[{library!r}] = None\n")
    outcome = program.run()
    assert (outcome.code, outcome.result["reason"]) == (2, "BadSettings"), outcome.log
    assert outcome.result["message"] == f"{library} is missing: pip install 'makini-operator[sync]'"
