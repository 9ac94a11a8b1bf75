"""The token's Secret: known again, never mistaken, repaired without a new token."""

import base64
import json
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.unit.lifecycle.builders import connection

from makini_operator.lifecycle.marker import InstallationKey
from makini_operator.lifecycle.observation import SecretState, SecretView
from makini_operator.manifests import secret
from makini_operator.manifests.ownership import CHECKSUM, MANAGED_BY
from makini_operator.manifests.published import PublishedToken
from makini_operator.resources.connection import MakiniConnection

KEY = InstallationKey(b"k" * 32)
OTHER_KEY = InstallationKey(b"o" * 32)
URL = "https://api.makini.io"
EDITED = "edited"
TOKEN = "canary-token"  # noqa: S105 - not a real one
PUBLISHED = PublishedToken(
    token=TOKEN,
    connection_id="c1",
    url=URL,
    issued_at=datetime(2025, 3, 1, tzinfo=UTC),
    expires_at=datetime(2025, 3, 31, tzinfo=UTC),
)
OWNER = connection(status={"connectionID": "c1"})
Manifest = dict[str, Any]


def with_template(**template: dict[str, str]) -> MakiniConnection:
    return connection(status={"connectionID": "c1"}, token={"secretTemplate": template})


def stored(owner: MakiniConnection = OWNER, **data: str | None) -> Manifest:
    """The Secret as the API server returns it, after somebody has changed these keys of its data."""
    made = deepcopy(secret.secret(owner, PUBLISHED, KEY))
    made["metadata"] |= {"uid": "secret-uid", "resourceVersion": "7"}
    for key, value in data.items():
        made["data"].pop(key.replace("_", "-"), None)
        if value is not None:
            made["data"][key.replace("_", "-")] = base64.b64encode(value.encode()).decode()
    return made


def seen(
    manifest: Manifest, owner: MakiniConnection = OWNER, *, key: InstallationKey = KEY, url: str = URL
) -> SecretView:
    return secret.view(secret.record(manifest, key), owner, url=url)


def test_it_holds_what_an_application_needs() -> None:
    data = {name: base64.b64decode(value).decode() for name, value in stored()["data"].items()}
    assert data == {"token": TOKEN, "connection-id": "c1", "url": URL}


def test_it_belongs_to_its_connection() -> None:
    (owner,) = stored()["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"], owner["controller"]) == ("MakiniConnection", "acme-uid", True)
    assert stored()["metadata"]["labels"] == {MANAGED_BY: "operator", "makini.io/connection": "acme"}


def test_as_it_was_written_it_is_intact_and_says_how_long_its_token_lives() -> None:
    assert seen(stored()) == SecretView(
        SecretState.INTACT, issued_at=PUBLISHED.issued_at, expires_at=PUBLISHED.expires_at
    )


def test_no_secret_is_absent() -> None:
    assert secret.view(None, OWNER, url=URL) == SecretView(SecretState.ABSENT)


def edit(path: str, value: Any) -> Manifest:
    """Our Secret with one field of its metadata changed; None takes it away."""
    made = stored()
    *parents, last = path.split(" ")
    place = made["metadata"]
    for parent in parents:
        place = place[parent]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return made


@pytest.mark.parametrize(
    ("manifest", "state"),
    [
        # the token, or what says what it is: only a new one helps
        (stored(token=EDITED), SecretState.TOKEN_LOST),
        (stored(token=None), SecretState.TOKEN_LOST),
        (stored(connection_id="c2"), SecretState.TOKEN_LOST),
        (stored(connection_id=None), SecretState.TOKEN_LOST),
        (stored() | {"data": None}, SecretState.TOKEN_LOST),
        (stored() | {"data": {**stored()["data"], "token": "no base64!"}}, SecretState.TOKEN_LOST),
        (stored() | {"data": {**stored()["data"], "token": "/////w=="}}, SecretState.TOKEN_LOST),
        (edit("annotations makini.io/expires-at", "2035-01-01T00:00:00Z"), SecretState.TOKEN_LOST),
        (edit("annotations makini.io/issued-at", "some day"), SecretState.TOKEN_LOST),
        (edit("annotations makini.io/checksum", "0" * 64), SecretState.TOKEN_LOST),
        (edit("annotations makini.io/checksum", None), SecretState.TOKEN_LOST),
        (edit("annotations makini.io/checksum", "ü"), SecretState.TOKEN_LOST),
        # everything else can be put right without a new token
        (stored(url="https://elsewhere.example"), SecretState.ALTERED),
        (stored(url=None), SecretState.ALTERED),
        (stored(extra="added"), SecretState.ALTERED),
        (edit("labels makini.io/connection", "other"), SecretState.ALTERED),
        (edit("labels makini.io/managed-by", None), SecretState.ALTERED),
        (edit("labels", {}), SecretState.ALTERED),
        (edit("annotations makini.io/template-keys", None), SecretState.ALTERED),
        # other tools may add labels and annotations
        (edit("labels team", "erp"), SecretState.INTACT),
        (edit("annotations example.com/note", "seen"), SecretState.INTACT),
        # whose it is, is decided by the controller's uid, and never by a label alone
        (edit("ownerReferences", []), SecretState.FOREIGN),
        (edit("ownerReferences", None), SecretState.FOREIGN),
        (
            edit("ownerReferences", [{"kind": "Deployment", "name": "shop", "uid": "x", "controller": True}]),
            SecretState.FOREIGN,
        ),
        (
            edit("ownerReferences", [{"kind": "MakiniConnection", "name": "acme", "uid": "acme-uid"}]),
            SecretState.FOREIGN,
        ),
        (
            edit(
                "ownerReferences", [{"kind": "MakiniConnection", "name": "acme", "uid": "old-uid", "controller": True}]
            ),
            SecretState.FOREIGN,
        ),
    ],
)
def test_how_a_secret_stands(manifest: Manifest, state: SecretState) -> None:
    assert seen(manifest).state is state


def test_without_label_and_with_an_edited_token_it_is_not_ours_any_more() -> None:
    made = stored(token=EDITED)
    made["metadata"]["labels"] = {}
    assert seen(made).state is SecretState.FOREIGN


@pytest.mark.parametrize(
    ("owners", "words"),
    [
        ([{"kind": "Deployment", "name": "shop", "uid": "x", "controller": True}], "Deployment shop"),
        ([], "somebody else"),
    ],
)
def test_whose_a_foreign_secret_is(owners: list[Manifest], words: str) -> None:
    assert seen(edit("ownerReferences", owners)).owner == words


def test_a_checksum_of_another_installation_proves_nothing() -> None:
    assert seen(stored(), key=OTHER_KEY).state is SecretState.TOKEN_LOST


def test_a_checksum_copied_to_another_connection_s_secret_proves_nothing() -> None:
    assert secret.intact_token(stored(), "another-uid", KEY) is None
    assert secret.intact_token(stored(), "acme-uid", KEY) == PUBLISHED


def test_the_token_of_an_earlier_connection_is_lost() -> None:
    assert seen(stored(), connection(status={"connectionID": "c2"})).state is SecretState.TOKEN_LOST


def test_another_endpoint_is_put_right_without_a_new_token() -> None:
    assert seen(stored(), url="https://eu.makini.io").state is SecretState.ALTERED


# --- template and repair ---------------------------------------------------------------------------------------------


def test_a_template_adds_labels_and_annotations() -> None:
    owner = with_template(labels={"team": "erp"}, annotations={"example.com/note": "x"})
    metadata = stored(owner)["metadata"]
    assert metadata["labels"]["team"] == "erp"
    assert metadata["annotations"]["example.com/note"] == "x"
    assert seen(stored(owner), owner).state is SecretState.INTACT
    assert seen(stored(), owner).state is SecretState.ALTERED


def test_a_template_cannot_change_what_marks_the_secret_as_ours() -> None:
    owner = with_template(labels={MANAGED_BY: "me"}, annotations={CHECKSUM: "mine"})
    assert stored(owner)["metadata"]["labels"][MANAGED_BY] == "operator"
    assert stored(owner)["metadata"]["annotations"][CHECKSUM] != "mine"


def test_what_the_template_drops_goes_and_what_others_added_stays() -> None:
    before = stored(with_template(labels={"team": "erp", "tier": "gold"}, annotations={"example.com/note": "x"}))
    before["metadata"]["labels"]["added-by"] = "backup"
    before["metadata"]["annotations"]["backup"] = "yes"
    owner = with_template(labels={"team": "crm"})
    assert seen(before, owner).state is SecretState.ALTERED
    after = secret.repaired(before, secret.secret(owner, PUBLISHED, KEY))
    own = {MANAGED_BY: "operator", "makini.io/connection": "acme"}
    assert after["metadata"]["labels"] == own | {"team": "crm", "added-by": "backup"}
    assert after["metadata"]["annotations"]["backup"] == "yes"
    assert "example.com/note" not in after["metadata"]["annotations"]
    assert seen(after, owner).state is SecretState.INTACT


def test_a_repair_replaces_exactly_the_version_that_was_seen() -> None:
    metadata = secret.repaired(stored(), secret.secret(OWNER, PUBLISHED, KEY))["metadata"]
    assert (metadata["uid"], metadata["resourceVersion"]) == ("secret-uid", "7")


@pytest.mark.parametrize("keys", ["not json", json.dumps({"a": 1}), json.dumps([1, None]), json.dumps("team")])
def test_a_repair_survives_notes_that_somebody_has_edited(keys: str) -> None:
    before = edit("annotations makini.io/template-keys", keys)
    after = secret.repaired(before, secret.secret(OWNER, PUBLISHED, KEY))
    assert seen(after).state is SecretState.INTACT


def test_a_repair_removes_data_that_somebody_added() -> None:
    after = secret.repaired(stored(extra="added"), secret.secret(OWNER, PUBLISHED, KEY))
    assert set(after["data"]) == {"token", "connection-id", "url"}


# --- what is remembered ----------------------------------------------------------------------------------------------


def test_the_token_is_not_remembered_and_is_in_no_repr() -> None:
    remembered = secret.record(stored(), KEY)
    assert remembered.published is not None
    assert remembered.published.token == ""
    assert TOKEN not in repr(remembered)
    assert TOKEN not in repr(PUBLISHED)
    assert TOKEN not in json.dumps(stored()["metadata"])
