"""No secret leaves in an error, however the server echoes it."""

import json
import logging
import traceback
import urllib.parse
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.makini.scripted import ADMIN, SECRET, Scripted, fails

from makini_operator.makini import ClientCredentials, ConnectionToken, MakiniError, NewConnection
from makini_operator.makini.transport import Request
from makini_operator.redaction import MAX_TEXT, Redactor

PASSWORD = 'pass"word canary/äé-5521'  # noqa: S105 - a canary
NEW = NewConnection(
    name="acme", email="it@acme.example", provider="netsuite", credentials={"login": "acme-login", "password": PASSWORD}
)
CONNECTIONS = "POST /api/system/connections"


@pytest.mark.parametrize(
    "echo",
    [
        f"login failed for acme-login with {PASSWORD}",
        f"bad: {PASSWORD[:9]}",
        f"bad: {PASSWORD.upper()}",
        f"bad: {json.dumps(PASSWORD)}",
        f"bad: {urllib.parse.quote(PASSWORD)}",
        f"Bearer {ADMIN} may not",
        "x" * (MAX_TEXT - 4) + PASSWORD,
        f"\x1b[31m{PASSWORD}\x00\r\n",
    ],
)
async def test_an_echoed_secret_is_masked(server: Scripted, echo: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server.on(CONNECTIONS, fails(400, code=f"BAD-{PASSWORD}", message=echo))
    with pytest.raises(MakiniError) as caught:
        await server.client.create_connection(NEW)
    error = caught.value
    shown = ("".join(traceback.format_exception(error)) + repr(vars(error)) + caplog.text).lower()
    for canary in ("canary", "acme-login", 'pass"w', "pass%22"):
        assert canary not in shown
    assert "\x1b" not in str(error)
    assert len(str(error)) < MAX_TEXT + 100


async def test_the_client_secret_is_masked(server: Scripted) -> None:
    server.on("POST /link/token", fails(401, message=f"nobody has {SECRET}"))
    with pytest.raises(MakiniError) as caught:
        await server.client.identity()
    assert "nobody has ***" in str(caught.value)


async def test_a_connection_token_is_masked(server: Scripted) -> None:
    server.on("GET /api/integrations/current", fails(401, message="token conn-canary-1 has expired"))
    with pytest.raises(MakiniError) as caught:
        await server.client.current("conn-canary-1")
    assert "token *** has expired" in str(caught.value)


def test_the_repr_of_every_value_hides_its_secret() -> None:
    values = [
        ClientCredentials(client_id="c", client_secret=SECRET),
        NEW,
        ConnectionToken(token=ADMIN, expires_at=datetime.now(UTC)),
        Request(method="GET", path="/", route="/", is_write=False, bearer=ADMIN, body=SECRET, secrets=(SECRET,)),
    ]
    assert "canary" not in repr(values)


@given(
    secret=st.text(min_size=6, max_size=40).filter(lambda text: text.isprintable() and " " not in text),
    before=st.text(max_size=20),
    after=st.text(max_size=20),
)
def test_a_secret_never_survives_cleaning(secret: str, before: str, after: str) -> None:
    assert secret.lower() not in Redactor([secret]).clean(before + secret + after).lower()


@given(text=st.text(max_size=2000))
def test_text_without_secrets_is_one_bounded_printable_line(text: str) -> None:
    clean = Redactor([]).clean(text)
    assert clean.isprintable()
    assert len(clean) <= MAX_TEXT


def test_a_short_secret_is_masked_whole() -> None:
    assert Redactor(["abc"]).clean("pin abc, abcabc!") == "pin ***, ***!"


def test_neither_value_nor_length_of_a_secret_is_told() -> None:
    assert Redactor(["0123456789"]).clean("x 0123456789 y 45678901 z") == "x *** y ***01 z"
