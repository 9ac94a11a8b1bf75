"""Runs the sandbox on a port until it is told to stop, and then lets the requests in flight finish."""

import asyncio
import logging
import signal
from collections.abc import Callable

from aiohttp import web

from makini_operator.sandbox.app import create_app
from makini_operator.sandbox.settings import SandboxSettings

_FINISH_WITHIN = 5.0  # seconds for requests in flight at the end


class _WithoutContent(logging.Filter):
    """Keeps what a client sent out of the log: aiohttp's own records of a malformed request quote it."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args, record.exc_info, record.exc_text = "a request was not served", None, None, None
        return True


def run(settings: SandboxSettings, *, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        settings: how the sandbox behaves.
        host: address to listen on.
        port: port to listen on; 0 takes a free one.
        announce: called with the URL once connections are accepted.

    Raises:
        OSError, sqlite3.Error: the address is taken, or the state file cannot be opened.
        ValueError: a setting makes no sense.
    """
    asyncio.run(_serve(settings, host=host, port=port, announce=announce))


async def _serve(settings: SandboxSettings, *, host: str, port: int, announce: Callable[[str], None]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    http_log = logging.getLogger(f"{__name__}.http")
    http_log.addFilter(_WithoutContent())
    runner = web.AppRunner(
        create_app(settings), access_log=None, logger=http_log, shutdown_timeout=_FINISH_WITHIN, handle_signals=False
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        announce(url_of(runner.addresses[0]))
        await stop.wait()
    finally:
        await runner.cleanup()


def url_of(address: tuple[str, int] | tuple[str, int, int, int]) -> str:
    """Return the URL of a socket address, IPv6 in brackets."""
    host, port = address[0], address[1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
