"""The few requests that the driver itself sends to the API server.

Why not kubectl: readiness is polled many times a second, and a process for each would
cost more than the server it waits for.
"""

import http.client
import json
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any

from tests.localkube.components import Layout

_WARNING = re.compile(r'299 \S+ "(.*)"')


@dataclass(frozen=True)
class Answer:
    """What the API server said, and the texts of its warnings."""

    status: int
    text: str
    warnings: list[str]


class Api:
    """An administrator's connection to one control plane; certificates are verified both ways."""

    def __init__(self, layout: Layout) -> None:
        self._host, self._port = layout.host, layout.api_port
        self._tls = ssl.create_default_context(cafile=layout.pki / "ca.crt")
        self._tls.load_cert_chain(layout.pki / "admin.crt", layout.pki / "admin.key")

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        user_agent: str = "localkube",
        content_type: str = "application/json",
    ) -> tuple[int, str]:
        """The status and text of one answer; see `ask`."""
        answer = self.ask(method, path, body, user_agent=user_agent, content_type=content_type)
        return answer.status, answer.text

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        user_agent: str = "localkube",
        content_type: str = "application/json",
        accept: str = "application/json",
        impersonated: Sequence[str] = (),
    ) -> Answer:
        """One answer, with the warnings that came with it.

        Args:
            method: of HTTP.
            path: with the query.
            body: what JSON can hold; None for none.
            user_agent: as which program.
            content_type: of the body.
            accept: what the answer may be.
            impersonated: a user and its groups, as whom the administrator asks.

        Raises:
            OSError: nothing answered, or something else than this control plane did.
        """
        connection = http.client.HTTPSConnection(self._host, self._port, context=self._tls, timeout=10)
        headers = [("User-Agent", user_agent), ("Content-Type", content_type), ("Accept", accept)]
        headers += zip(chain(["Impersonate-User"], repeat("Impersonate-Group")), impersonated, strict=False)
        content = b"" if body is None else json.dumps(body).encode()
        try:
            connection.putrequest(method, path)
            for name, value in [*headers, ("Content-Length", str(len(content)))]:
                connection.putheader(name, value)
            connection.endheaders(content or None)
            answer = connection.getresponse()
            return Answer(answer.status, answer.read().decode(), _warnings(answer.headers.get_all("Warning", [])))
        except http.client.HTTPException as error:
            raise ConnectionError(f"{method} {path}: {error!r}") from error
        finally:
            connection.close()

    def answers(self, path: str) -> bool:
        """Whether a GET of this path succeeds now."""
        try:
            return self.request("GET", path)[0] == http.HTTPStatus.OK
        except OSError:
            return False


def _warnings(headers: list[str]) -> list[str]:
    return [found[1].replace('\\"', '"') for header in headers if (found := _WARNING.match(header))]
