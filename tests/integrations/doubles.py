"""Stores that answer as much of two services' APIs as External Secrets Operator uses. In memory, on the loopback.

* HashiCorp Vault: the KV engine in version 2, mounted at `secret`, with token login.
* Azure Key Vault: secrets of API 7.0, and the identity endpoint that a managed identity's token comes from.
"""

import json
import threading
from abc import ABC, abstractmethod
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

Answer = tuple[int, Any]
NOT_FOUND: Answer = (404, {"errors": []})


class Double(ABC):
    """A server for the `with` statement."""

    def __init__(self) -> None:
        self.is_sealed = False
        """Whether everything is refused, as by a store that has lost its own key or its network."""
        self.secret = "canary-of-the-store"  # noqa: S105 - what callers must show
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @abstractmethod
    def answer(self, method: str, path: str, headers: dict[str, str], body: Any) -> Answer:
        """Status and JSON; header names are in small letters."""

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        double = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _reply(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, answer = double.answer(self.command, urlsplit(self.path).path.rstrip("/"), headers, body)
                text = b"" if answer is None else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_PUT = do_POST = do_DELETE = do_LIST = _reply  # noqa: N815 - http.server's names

            def log_message(self, *_: object) -> None:
                """Tests look at what is stored."""

        return Handler


class Vault(Double):
    """KV version 2 at `secret/`; `stored` has each path's newest data."""

    def __init__(self) -> None:
        super().__init__()
        self.stored: dict[str, dict[str, str]] = {}
        self.metadata: dict[str, dict[str, str]] = {}

    def answer(self, method: str, path: str, headers: dict[str, str], body: Any) -> Answer:
        if self.is_sealed:
            return 403, {"errors": ["permission denied"]}
        if headers.get("x-vault-token") != self.secret:
            return 403, {"errors": ["invalid token"]}
        if path == "/v1/auth/token/lookup-self":
            return 200, {"data": {"type": "service", "ttl": 0, "expire_time": None}}
        _, _, mount, part, *rest = path.split("/")
        if mount != "secret" or part not in ("data", "metadata"):
            return NOT_FOUND
        name = "/".join(rest)
        return self._data(method, name, body) if part == "data" else self._metadata(method, name, body)

    def _data(self, method: str, name: str, body: Any) -> Answer:
        if method == "GET":
            if name not in self.stored:
                return NOT_FOUND
            custom = self.metadata.get(name, {})
            return 200, {"data": {"data": self.stored[name], "metadata": {"version": 1, "custom_metadata": custom}}}
        if method == "DELETE":
            self.stored.pop(name, None)
            return 204, None
        self.stored[name] = body["data"]
        return 200, {"data": {"version": 1}}

    def _metadata(self, method: str, name: str, body: Any) -> Answer:
        if method == "GET":
            return (200, {"data": {"custom_metadata": self.metadata[name]}}) if name in self.metadata else NOT_FOUND
        if method == "DELETE":
            self.metadata.pop(name, None)
            self.stored.pop(name, None)
        else:
            self.metadata[name] = body["custom_metadata"]
        return 204, None


class KeyVault(Double):
    """Secrets of a Key Vault without soft deletion; `stored` has their values."""

    def __init__(self) -> None:
        super().__init__()
        self.stored: dict[str, str] = {}
        self._tags: dict[str, dict[str, str]] = {}

    @property
    def environment(self) -> dict[str, str]:
        """What a managed identity finds in its environment."""
        return {"MSI_ENDPOINT": f"{self.url}/identity", "MSI_SECRET": self.secret}

    def answer(self, method: str, path: str, headers: dict[str, str], body: Any) -> Answer:
        token = f"access-{self.secret}"
        if path == "/identity":
            if headers.get("secret") != self.secret:
                return 401, {"error": "wrong secret"}
            lasting = {"expires_on": "4102444800", "expires_in": "86400", "not_before": "0"}
            return 200, lasting | {"access_token": token, "token_type": "Bearer", "resource": "vault"}
        if self.is_sealed or headers.get("authorization") != f"Bearer {token}":
            return 403, {"error": {"code": "Forbidden", "message": "the caller may not do this"}}
        name = path.removeprefix("/secrets/")
        if method == "PUT":
            self.stored[name], self._tags[name] = body["value"], body.get("tags") or {}
        if name not in self.stored:
            return 404, {"error": {"code": "SecretNotFound", "message": f"{name} was not found in this key vault"}}
        found = {"id": f"{self.url}/secrets/{name}/1", "value": self.stored[name], "tags": self._tags[name]}
        if method == "DELETE":
            del self.stored[name], self._tags[name]
        return 200, found | {"attributes": {"enabled": True}}
