"""Readers and stores: exactly one Secret for exactly these ServiceAccounts, and a PushSecret that can be judged."""

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.lifecycle.builders import INTACT, NOW, connection

from makini_operator.manifests import plain, push_secret, readers
from makini_operator.manifests.push_secret import PUSHED_FOR
from makini_operator.resources.connection import MakiniConnection
from makini_operator.resources.token import TokenStore

Manifest = dict[str, Any]
READERS = [{"serviceAccountName": "web"}, {"serviceAccountName": "batch"}]
OWNER = connection(status={"connectionID": "c1"}, token={"readers": READERS, "secretName": "erp"})
NOBODY = connection(status={"connectionID": "c1"})
STORE = TokenStore.model_validate(
    {"name": "vault", "secretStoreRef": {"kind": "SecretStore", "name": "vault"}, "remoteKey": "makini/acme"}
)


def stored(manifest: Manifest) -> Any:
    manifest["metadata"] |= {"uid": f"{manifest['kind']}-uid", "resourceVersion": "1"}
    return plain.record(manifest)


def test_the_role_gets_exactly_one_secret() -> None:
    (rule,) = readers.role(OWNER)["rules"]
    assert rule == {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": ["erp"]}


def test_the_binding_names_exactly_the_readers_in_the_namespace() -> None:
    binding = readers.role_binding(OWNER)
    assert [(s["kind"], s["name"], s["namespace"]) for s in binding["subjects"]] == [
        ("ServiceAccount", "batch", "tenant"),
        ("ServiceAccount", "web", "tenant"),
    ]
    assert binding["roleRef"]["name"] == readers.role(OWNER)["metadata"]["name"]


def view(owner: MakiniConnection, *manifests: Manifest) -> Any:
    roles = [stored(m) for m in manifests if m["kind"] == "Role"]
    return readers.view(roles, [stored(m) for m in manifests if m["kind"] == "RoleBinding"], owner)


def test_as_written_they_are_as_wanted_and_anything_else_is_not() -> None:
    both = (readers.role(OWNER), readers.role_binding(OWNER))
    assert view(OWNER, *both).are_as_wanted
    assert not view(OWNER, both[0]).are_as_wanted
    assert not view(OWNER).are_as_wanted
    wider = readers.role(OWNER) | {"rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]}
    assert not view(OWNER, wider, both[1]).are_as_wanted
    more = readers.role_binding(OWNER)
    more["subjects"].append({"kind": "User", "name": "mallory"})
    assert not view(OWNER, both[0], more).are_as_wanted


def test_without_readers_nothing_is_wanted_and_what_is_there_has_to_go() -> None:
    assert view(NOBODY).are_as_wanted
    assert not view(NOBODY).is_anything_there
    left = view(NOBODY, readers.role(OWNER))
    assert (left.are_as_wanted, left.is_anything_there) == (False, True)


# --- stores ----------------------------------------------------------------------------------------------------------


def pushed(status: Manifest | None = None, **changes: Any) -> Manifest:
    made = push_secret.push_secret(OWNER, STORE, INTACT, NOW)
    made["metadata"] |= {"uid": "push-uid", "resourceVersion": "1"}
    return made | {"status": status or {}} | changes


def record(manifest: Manifest, secret: Any = INTACT, store: TokenStore | None = STORE) -> Any:
    return push_secret.record(manifest, OWNER, store, secret, NOW)


def ready(value: str, message: str = "", refreshed: str = "2025-03-01T12:00:00Z") -> Manifest:
    return {"conditions": [{"type": "Ready", "status": value, "message": message}], "refreshTime": refreshed}


def test_it_copies_the_secret_and_takes_the_copy_along_when_it_goes() -> None:
    spec = pushed()["spec"]
    assert spec["selector"] == {"secret": {"name": "erp"}}
    assert (spec["deletionPolicy"], spec["updatePolicy"]) == ("Delete", "Replace")
    assert spec["data"] == [{"match": {"remoteRef": {"remoteKey": "makini/acme"}}}]


@pytest.mark.parametrize(
    ("status", "is_done"),
    [
        ({}, False),
        (ready("True"), True),
        (ready("True", refreshed="2025-03-01T11:59:59Z"), False),
        (ready("False", "no such vault"), False),
    ],
)
def test_it_is_done_when_it_was_pushed_after_it_was_asked_for(status: Manifest, is_done: bool) -> None:
    assert record(pushed(status)).is_done is is_done


def test_defaults_of_the_api_server_do_not_matter_and_edits_do() -> None:
    made = pushed(ready("True"))
    made["spec"]["secretStoreRefs"][0]["apiVersion"] = "external-secrets.io/v1"
    made["spec"]["data"][0]["conversionStrategy"] = "None"
    assert record(made).is_as_wanted
    made["spec"]["selector"]["secret"]["name"] = "somebody-elses"
    assert not record(made).is_as_wanted
    assert not record(pushed(), store=None).is_as_wanted


def test_each_change_of_the_secret_is_pushed() -> None:
    made = pushed(ready("True"))
    for changed in (replace(INTACT, attempt=1), replace(INTACT, previous_expires_at=NOW)):
        assert not record(made, changed).is_as_wanted
    assert PUSHED_FOR in made["metadata"]["annotations"]


def test_what_could_be_a_token_in_another_programs_words_is_masked() -> None:
    token = "tk_0123456789abcdefABCDEF0123456789"  # noqa: S105 - not a real one
    found = record(pushed(ready("False", f"could not set secret: invalid value {token}: denied")))
    assert found.message == "could not set secret: invalid value …: denied"
