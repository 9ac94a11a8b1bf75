"""The few requests that the driver itself sends to the API server.

Why not kubectl: readiness is polled many times a second, and a process for each would
cost more than the server it waits for.
"""

import http.client
import json
import ssl
from typing import Any

from tests.localkube.components import Layout


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
        """The status and text of one answer.

        Raises:
            OSError: nothing answered, or something else than this control plane did.
        """
        connection = http.client.HTTPSConnection(self._host, self._port, context=self._tls, timeout=10)
        headers = {"User-Agent": user_agent, "Content-Type": content_type}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
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
