"""A published token: with a previous one, with its number, and the proof over all of it."""

import base64
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.unit.lifecycle.builders import connection

from makini_operator.lifecycle.marker import InstallationKey
from makini_operator.lifecycle.observation import SecretState
from makini_operator.manifests import secret
from makini_operator.manifests.published import PreviousToken, PublishedToken, intact_token

KEY = InstallationKey(b"k" * 32)
FIRST = PublishedToken(
    token="canary-first",  # noqa: S106 - not a real one
    connection_id="c1",
    url="https://api.makini.io",
    issued_at=datetime(2025, 3, 1, tzinfo=UTC),
    expires_at=datetime(2025, 3, 31, tzinfo=UTC),
)
NEWER = PublishedToken(
    token="canary-second",  # noqa: S106 - not a real one
    connection_id="c1",
    url="https://api.makini.io",
    issued_at=datetime(2025, 3, 20, tzinfo=UTC),
    expires_at=datetime(2025, 4, 19, tzinfo=UTC),
    attempt=1,
)
BOTH = FIRST.followed_by(NEWER)
OWNER = connection(status={"connectionID": "c1"})
Manifest = dict[str, Any]


def stored(published: PublishedToken) -> Manifest:
    made = secret.secret(OWNER, published, KEY)
    made["metadata"] |= {"uid": "secret-uid", "resourceVersion": "7"}
    return made


def seen(manifest: Manifest) -> Any:
    return secret.view(secret.record(manifest, KEY), OWNER, url="https://api.makini.io")


def test_a_newer_token_is_published_with_the_one_before() -> None:
    data = {name: base64.b64decode(value).decode() for name, value in stored(BOTH)["data"].items()}
    assert (data["token"], data["previous-token"]) == ("canary-second", "canary-first")
    view = seen(stored(BOTH))
    assert (view.state, view.attempt, view.previous_expires_at) == (SecretState.INTACT, 1, FIRST.expires_at)


@pytest.mark.parametrize("published", [FIRST, NEWER, BOTH])
def test_what_was_published_is_read_back(published: PublishedToken) -> None:
    assert intact_token(stored(published), "acme-uid", KEY) == published
    assert intact_token(stored(published), "other-uid", KEY) is None


def test_no_token_is_kept_in_memory_or_shown() -> None:
    blank = secret.record(stored(BOTH), KEY).published
    assert blank is not None
    assert blank.previous == PreviousToken("", FIRST.expires_at)
    assert blank.token == ""
    for shown in (repr(BOTH), repr(blank), str(seen(stored(BOTH)))):
        assert "canary" not in shown


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("data", "previous-token", base64.b64encode(b"edited").decode()),
        ("data", "previous-token", None),
        ("annotations", "makini.io/attempt", "2"),
        ("annotations", "makini.io/attempt", "many"),
        ("annotations", "makini.io/previous-expires-at", "2035-01-01T00:00:00Z"),
        ("annotations", "makini.io/previous-expires-at", None),
    ],
)
def test_whoever_edits_any_of_it_is_noticed(part: str, key: str, value: str | None) -> None:
    made = stored(BOTH)
    place = made["data"] if part == "data" else made["metadata"]["annotations"]
    if value is None:
        del place[key]
    else:
        place[key] = value
    assert seen(made).state is SecretState.TOKEN_LOST


def test_a_first_token_after_later_ones_leaves_no_trace_of_them() -> None:
    """Else the number of a former token would make the proof wrong for good."""
    after = secret.repaired(stored(BOTH), secret.secret(OWNER, FIRST, KEY))
    assert seen(after).state is SecretState.INTACT
    assert seen(after).attempt == 0
