"""How fast the sandbox answers lists: `python -m tests.bench.sandbox_speed`. Bare figures of one computer, no gate.

One process serves, this one asks over a few connections that stay open, with plain sockets, so that the asking costs
little. Prints requests a second of 100 purchase orders a page: the same page again, different pages that are not in
memory, small pages, and what the server needs at the start.
"""

import argparse
import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

LISTS = "/api/erp/purchase-orders"
NEW = {"name": "Load", "provider": "fiix", "credentials": {"login": "x"}}


class Client:
    """Connections that stay open; on each, one request at a time."""

    def __init__(self, port: int, token: str, connections: int) -> None:
        self._sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(connections)]
        self._head = f"HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n\r\n"
        self._buffer = bytearray(1 << 20)

    def per_second(self, paths: list[str], seconds: float) -> tuple[float, float]:
        """(requests, MiB) a second, asking for these paths in turn for so long."""
        done, size, started = 0, 0, time.monotonic()
        while (taken := time.monotonic() - started) < seconds:
            for number, one in enumerate(self._sockets):
                one.sendall(f"GET {paths[(done + number) % len(paths)]} {self._head}".encode())
            size += sum(self._read(one) for one in self._sockets)
            done += len(self._sockets)
        return done / taken, size / taken / (1 << 20)

    def _read(self, one: socket.socket) -> int:
        view, have, wanted = memoryview(self._buffer), 0, None
        while wanted is None or have < wanted:
            got = one.recv_into(view[have:])
            assert got, "the sandbox closed the connection"
            have += got
            if wanted is None and (end := self._buffer.find(b"\r\n\r\n", 0, have)) >= 0:
                head = bytes(self._buffer[:end]).decode()
                assert head.startswith("HTTP/1.1 200"), head
                length = next(line for line in head.split("\r\n") if line.lower().startswith("content-length"))
                wanted = end + 4 + int(length.split(":")[1])
        return have


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--connections", type=int, default=4)
    options = parser.parse_args()
    secret = secrets.token_urlsafe(16)
    command = [sys.executable, "-m", "makini_operator", "sandbox", "--listen", "127.0.0.1:0"]
    environment = os.environ | {"MAKINI_SANDBOX_CLIENT_ID": "load", "MAKINI_SANDBOX_CLIENT_SECRET": secret}
    started = time.monotonic()
    with subprocess.Popen(
        [*command, "--scale", str(options.scale)],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as server:  # fmt: skip
        assert server.stdout is not None
        url = server.stdout.readline().split()[-1]
        show("start", f"{time.monotonic() - started:.2f} s")
        try:
            port, token = int(url.rpartition(":")[2]), connect(url, secret)
            client = Client(port, token, options.connections)
            for name, paths in {
                "100 records, one page again and again": [f"{LISTS}?per_page=100"],
                "100 records, always another page": [f"{LISTS}?per_page=100&page={n}" for n in range(1, 9_999, 7)],
                "1 record": [f"{LISTS}?per_page=1"],
            }.items():
                before = processor_seconds(server.pid)
                rate, size = client.per_second(paths, options.seconds)
                alone = rate * options.seconds / (processor_seconds(server.pid) - before)
                show(name, f"{rate:.0f} requests/s, {size:.0f} MiB/s; {alone:.0f} for each second of processor time")
            status = Path(f"/proc/{server.pid}/status").read_text()
            peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
            show("memory at most", f"{int(peak.split()[1]) / 1024:.0f} MiB")
        finally:
            server.terminate()


def processor_seconds(pid: int) -> float:
    """Processor time that a process has used, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def connect(url: str, secret: str) -> str:
    """A connection's token."""
    grant = {"grant_type": "client_credentials", "client_id": "load", "client_secret": secret}
    account = post(f"{url}/link/token", grant, "")["access_token"]
    return str(post(f"{url}/api/system/connections", NEW, account)["data"]["access_token"])


def post(url: str, body: object, token: str) -> dict[str, dict[str, str]]:
    """One POST; the parsed answer."""
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310 - always http
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - always http
        answer: dict[str, dict[str, str]] = json.load(response)
    return answer


def show(name: str, value: str) -> None:
    """Print one figure."""
    print(f"{name:42} {value}", flush=True)  # noqa: T201 - it is what this is for


if __name__ == "__main__":
    main()
