"""schemathesis sends made-up requests for all 206 operations of the vendor's files: no crash, no hang, no odd answer.

A server of its own in a thread, because schemathesis speaks plain blocking HTTP. The number of examples is small and
fixed, so that the whole takes a minute; each is made anew from the same seed.
"""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from aiohttp import web
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance
from tests.conformance.vendor import NAMES, files, patched
from tests.unit.sandbox.box import CLIENT_ID, NEW, SECRET

from makini_operator.sandbox import SandboxSettings, create_app
from makini_operator.sandbox.server import url_of

EXAMPLES = 8
ANSWER_WITHIN = 5  # seconds; far beyond what any answer takes, it only tells a hang
CHECKS = [not_a_server_error, status_code_conformance, response_schema_conformance]


class Server:
    """The sandbox in a thread with a loop of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._runner: web.AppRunner | None = None
        self.url = ""

    def start(self) -> None:
        self._thread.start()
        self.url = asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result(20)

    async def _serve(self) -> str:
        app = create_app(SandboxSettings(client_id=CLIENT_ID, client_secret=SECRET))
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return url_of(self._runner.addresses[0])

    def stop(self) -> None:
        assert self._runner is not None
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)
        self._loop.close()


class Caller:
    """Makes calls with a token that fits the operation."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        grant = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": SECRET}
        answer = self.session.post(f"{url}/link/token", json=grant, timeout=ANSWER_WITHIN).json()
        self.account = answer["access_token"]
        self.connection = self.connect()

    def connect(self) -> str:
        headers = {"Authorization": f"Bearer {self.account}"}
        where = f"{self.url}/api/system/connections"
        answer = self.session.post(where, json=NEW, headers=headers, timeout=ANSWER_WITHIN)
        return str(answer.json()["data"]["access_token"])

    def call(self, case: Case) -> None:
        is_account = case.operation.path.startswith("/api/system/")
        token = self.account if is_account else self.connection
        if case.method.upper() == "DELETE" and not is_account:
            token = self.connect()  # it ends itself
        headers = {"Authorization": f"Bearer {token}"}
        case.call_and_validate(
            base_url=self.url, session=self.session, headers=headers, checks=CHECKS, timeout=ANSWER_WITHIN
        )


@pytest.fixture(scope="module")
def documents() -> dict[str, Any]:
    return patched(files())


@pytest.fixture(scope="module")
def caller(documents: dict[str, Any]) -> Iterator[Caller]:
    assert documents  # before a server is started for nothing
    server = Server()
    server.start()
    caller = Caller(server.url)
    yield caller
    caller.session.close()
    server.stop()


@pytest.mark.parametrize("name", NAMES)
def test_made_up_requests_get_an_answer_that_conforms(documents: dict[str, Any], caller: Caller, name: str) -> None:
    schema = schemathesis.openapi.from_dict(documents[name])
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) == {"erp": 107, "eam": 86, "system": 13}[name]
    for operation in operations:
        strategy = operation.as_strategy()

        @seed(7)
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=strategy)
        def fuzz(case: Case) -> None:
            caller.call(case)

        fuzz()
