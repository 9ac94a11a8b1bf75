"""The embedded Makini as a process, and what only Makini's own people could see of it."""

import json
import secrets
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.harness.process import Process, inherited
from tests.localkube.ports import free_port
from tests.localkube.waiting import wait_until


class Sandbox:
    """A Makini on its own port, with an account of its own; state and port survive restarts."""

    def __init__(self, directory: Path, *arguments: str, faults: bool = True) -> None:
        self.client_id = f"client-{secrets.token_hex(4)}"
        self.client_secret = f"secret-{secrets.token_hex(16)}"
        self.state = directory / "sandbox.sqlite"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "makini_operator", "sandbox", "--listen", f"127.0.0.1:{self.port}"]
        command += ["--state", str(self.state), *arguments, *(["--allow-faults"] if faults else [])]
        environment = inherited(
            MAKINI_SANDBOX_CLIENT_ID=self.client_id, MAKINI_SANDBOX_CLIENT_SECRET=self.client_secret
        )
        self.process = Process(command, log=directory / "sandbox.log", environment=environment)
        self._token = ""

    def start(self) -> None:
        self.process.start()
        wait_until(self._answers, 20, lambda: f"the sandbox to answer\n{self.process.text()[-2000:]}")

    def stop(self) -> None:
        self.process.stop()

    def call(self, method: str, path: str, *, token: str | None = None, body: object = None) -> tuple[int, Any]:
        """One request; (status, parsed JSON). Without `token` it is made as the account."""
        status, answer = self._send(method, path, token or self.admin_token(), body)
        if status == 401 and token is None:
            self._token = ""
            return self._send(method, path, self.admin_token(), body)
        return status, answer

    def connections(self) -> list[dict[str, Any]]:
        """Every connection that is alive, over all pages, read while nothing else is expected to change."""
        rows: list[dict[str, Any]] = []
        page, last = 1, 1
        while page <= last:
            status, answer = self.call("GET", f"/api/system/connections?page={page}")
            assert status == 200, answer
            rows += answer["data"]
            page, last = page + 1, answer["meta"]["last_page"]
        return [row for row in rows if row["status"] != "disconnected"]

    def all_connections(self) -> list[dict[str, Any]]:
        """Every connection that ever was."""
        status, answer = self.call("GET", "/sandbox/connections")
        assert status == 200, answer
        return answer["data"] if isinstance(answer, dict) else answer

    def accepts(self, token: str) -> bool:
        """Whether a connection token is good for data."""
        return self.call("GET", "/api/erp/purchase-orders", token=token)[0] == 200

    def fault(self, *rules: dict[str, Any]) -> None:
        status, answer = self.call("POST", "/sandbox/faults", body=list(rules))
        assert status < 300, answer

    def heal(self) -> None:
        self.call("DELETE", "/sandbox/faults")

    def requests(self) -> dict[str, int]:
        """How often each method and route was called since the start."""
        return self.call("GET", "/sandbox/requests")[1]

    def admin_token(self) -> str:
        """The token that the account's own calls are made with."""
        if not self._token:
            body = {
                "grant_type": "client_credentials",
                "client_id": self.client_id,
                "client_secret": self.client_secret,
            }
            self._token = self._send("POST", "/link/token", None, body)[1]["access_token"]
        return self._token

    def _send(self, method: str, path: str, token: str | None, body: object) -> tuple[int, Any]:
        request = urllib.request.Request(self.url + path, method=method)  # noqa: S310 - always http
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, data, timeout=10) as response:  # noqa: S310 - always http
                return response.status, _parsed(response.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _parsed(error.read())

    def _answers(self) -> bool:
        assert self.process.is_running, "the sandbox has ended"
        try:
            return self._send("GET", "/api/system/client", "nobody", None)[0] == 401
        except OSError:
            return False


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text.decode(errors="replace")
