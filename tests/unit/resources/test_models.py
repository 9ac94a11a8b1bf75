"""The models: what they take, what they write, and what they forget."""

import pytest
from pydantic import ValidationError
from tests.unit.lifecycle.builders import CLAIM, SPEC, TOKEN, connection

from makini_operator.resources.connection import MakiniConnection
from makini_operator.resources.connection_status import MakiniConnectionStatus
from makini_operator.resources.pool import DEFAULT_ACCOUNT_URL, CreditPool

POOL = {"credits": 12, "account": {"credentialsSecretRef": {"name": "makini-account"}}}


def test_a_status_is_written_as_it_was_read() -> None:
    status = {"observedGeneration": 3, "phase": "Active", "connectionID": "c1", "credits": CLAIM, "token": TOKEN}
    assert MakiniConnectionStatus.model_validate(status).dump() == status


def test_what_is_absent_is_not_written() -> None:
    assert MakiniConnectionStatus().dump() == {}


def test_fields_of_a_newer_version_are_no_error() -> None:
    newer = {"metadata": {"name": "a", "managedFields": []}, "spec": SPEC | {"suspend": True}, "status": {"syncs": []}}
    assert MakiniConnection.parse(newer).spec.connected


def test_what_is_required_is_required() -> None:
    with pytest.raises(ValidationError, match="poolRef"):
        MakiniConnection.parse({"metadata": {"name": "a"}, "spec": {k: v for k, v in SPEC.items() if k != "poolRef"}})


def test_a_model_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        connection().spec.connected = False  # type: ignore[misc]


@pytest.mark.parametrize(
    ("token", "name"),
    [(None, "acme-makini"), ({}, "acme-makini"), ({"secretTemplate": {}}, "acme-makini"), ({"secretName": "x"}, "x")],
)
def test_the_token_secret_is_named_after_the_connection_unless_the_spec_names_it(
    token: dict[str, str] | None, name: str
) -> None:
    assert connection(**({"token": token} if token is not None else {})).secret_name == name


def test_an_account_without_a_url_is_makini_s() -> None:
    pool = CreditPool.parse({"metadata": {"name": "p"}, "spec": POOL})
    assert pool.spec.account.effective_url == DEFAULT_ACCOUNT_URL


def test_an_object_is_being_deleted_once_it_has_a_deletion_time() -> None:
    assert not connection().metadata.is_deleting
    assert connection(deleting=True).metadata.is_deleting
