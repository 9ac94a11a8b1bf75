"""The sandbox as a process: start, stop, and a state that survives being killed."""

import asyncio
import os
import signal
import sqlite3
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from click.testing import CliRunner
from tests.unit.sandbox.box import CLIENT_ID, CONNECTIONS, SECRET, Box, Clock

from makini_operator.cli.sandbox import sandbox
from makini_operator.sandbox import SandboxSettings, create_app

COMMAND = "from makini_operator.cli.sandbox import sandbox; sandbox()"
SOURCE = Path(__file__).parents[3] / "operator"
ENVIRONMENT = {"MAKINI_SANDBOX_CLIENT_ID": CLIENT_ID, "MAKINI_SANDBOX_CLIENT_SECRET": SECRET}


@asynccontextmanager
async def started(*options: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, Box]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-W", "error", "-c", COMMAND, "--listen", "127.0.0.1:0", *options),
        env=os.environ | ENVIRONMENT | {"PYTHONPATH": str(SOURCE)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        line = (await asyncio.wait_for(process.stdout.readline(), 20)).decode()
        assert line.startswith("sandbox: listening on http://127.0.0.1:")
        async with aiohttp.ClientSession() as session:
            box = Box(url=line.split()[-1], session=session, clock=Clock())
            await box.sign_in()
            yield process, box
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_what_was_answered_survives_a_kill(tmp_path: Path) -> None:
    state = tmp_path / "state.db"
    async with started("--state", str(state)) as (process, box):
        token = await box.connect()
        doomed = await box.connect(name="doomed")
        first, second = await box.ids()
        await box.call("DELETE", f"{CONNECTIONS}/{second}")
        admin = box.admin
        process.send_signal(signal.SIGKILL)
        await process.wait()
    async with started("--state", str(state)) as (_, box):
        assert await box.ids() == [first]
        assert (await box.call("GET", CONNECTIONS, token=admin)).status == 200
        assert (await box.call("GET", "/api/integrations/current", token=token)).status == 200
        assert (await box.call("GET", "/api/integrations/current", token=doomed)).status == 401
    assert_nothing_secret(tmp_path, token, doomed, admin, SECRET, "password-canary", "acme-login")


def assert_nothing_secret(folder: Path, *canaries: str) -> None:
    for path in folder.iterdir():
        content = path.read_bytes()
        assert not [canary for canary in canaries if canary.encode() in content]
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_stops_when_told(number: signal.Signals) -> None:
    async with started("--allow-faults") as (process, box):
        await box.connect()
        process.send_signal(number)
        assert await asyncio.wait_for(process.wait(), 10) == 0
        assert process.stderr is not None
        log = (await process.stderr.read()).decode()
    assert f"POST {CONNECTIONS} 200" in log
    assert "canary" not in log


async def test_a_malformed_request_is_not_quoted_in_the_log() -> None:
    async with started() as (process, box):
        host, port = box.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET / HTTP/1.1\r\nBad\x01canary: 1\r\n\r\n")
        await reader.read()
        writer.close()
        await writer.wait_closed()
        process.send_signal(signal.SIGTERM)
        _, log = await process.communicate()
    assert b"canary" not in log


@pytest.mark.parametrize("missing", sorted(ENVIRONMENT))
def test_the_client_comes_from_the_environment_only(missing: str) -> None:
    result = CliRunner().invoke(sandbox, [], env={**ENVIRONMENT, missing: None})
    assert result.exit_code == 2
    assert missing in result.output
    assert SECRET not in result.output


@pytest.mark.parametrize("address", ["8081", ":8081", "localhost:", "localhost:99999", "localhost:x"])
def test_an_address_without_host_or_port_is_refused(address: str) -> None:
    result = CliRunner().invoke(sandbox, ["--listen", address], env=ENVIRONMENT)
    assert result.exit_code == 2
    assert "expected HOST:PORT" in result.output


def test_a_state_file_that_is_no_database_is_a_clear_error(tmp_path: Path) -> None:
    state = tmp_path / "state.db"
    state.write_text("not a database, but long enough to look at\n" * 100)
    result = CliRunner().invoke(sandbox, ["--listen", "127.0.0.1:0", "--state", str(state)], env=ENVIRONMENT)
    assert result.exit_code == 1
    assert "the sandbox cannot start" in result.output


@pytest.mark.parametrize("wrong", [{"client_secret": ""}, {"client_id": ""}, {"page_size": 0}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    options: dict[str, object] = {"client_id": CLIENT_ID, "client_secret": SECRET} | wrong
    with pytest.raises(ValueError, match="expected"):
        create_app(SandboxSettings(**options))  # type: ignore[arg-type]


def test_the_settings_hide_the_secret() -> None:
    assert SECRET not in repr(SandboxSettings(client_id=CLIENT_ID, client_secret=SECRET))


def test_a_database_that_cannot_be_opened_is_an_error_of_the_state(tmp_path: Path) -> None:
    with pytest.raises((OSError, sqlite3.Error)):
        create_app(SandboxSettings(client_id=CLIENT_ID, client_secret=SECRET, state=tmp_path / "no" / "state.db"))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc, which Linux has")
async def test_a_million_orders_take_less_than_a_hundred_mebibytes() -> None:
    async with started("--scale", "1000000") as (process, box):
        token = await box.connect()
        for page in range(1, 10_000, 250):
            for path in ("/api/erp/purchase-orders", "/api/erp/purchase-orders.line-items"):
                answer = await box.call("GET", f"{path}?per_page=100&page={page}", token=token)
                assert len(answer.body["data"]) == 100
        assert peak_memory(process.pid) < 100


def peak_memory(pid: int) -> float:
    """The most memory that a process has had, MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024
