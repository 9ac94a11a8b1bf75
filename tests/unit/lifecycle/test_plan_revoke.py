"""Revocation, step by step: recorded, everything that uses the token goes, closed, and opened again with the seat."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.lifecycle.builders import (
    FOREIGN,
    INTACT,
    NO_CRON_JOBS,
    NO_SECRET,
    NOT_LISTED,
    NOW,
    UNREACHABLE,
    connection,
    observation,
    pool,
    remote,
    shown,
)
from tests.unit.lifecycle.test_plan_rotation import FIRST, TOKEN, UP, WITH_TARGETS

from makini_operator.lifecycle.actions import (
    ApplyReaders,
    Close,
    DeleteSecret,
    EndRuns,
    ListAccount,
    Plan,
    RemoveReaders,
    RemoveStore,
)
from makini_operator.lifecycle.happenings import happenings
from makini_operator.lifecycle.observation import (
    Observation,
    ReadersView,
    StoresView,
    Trouble,
    WorkloadState,
    WorkloadView,
)
from makini_operator.lifecycle.plan import plan
from makini_operator.lifecycle.requests import REVOKE
from makini_operator.resources.connection import MakiniConnection
from makini_operator.resources.reasons import Reason

ASKED = (NOW - timedelta(minutes=1)).isoformat()
OPEN = UP | {"token": TOKEN}
REVOKING = UP | {"revocation": ASKED, "handled": {"revokeAt": ASKED}, "phase": "Disconnecting"}
READERS = ReadersView(are_as_wanted=True, is_anything_there=True)


def asked(status: dict[str, Any], at: str = ASKED, **changes: Any) -> MakiniConnection:
    conn = connection(status=status, **changes)
    return conn.model_copy(update={"metadata": conn.metadata.model_copy(update={"annotations": {REVOKE: at}})})


def seen(status: dict[str, Any], **changes: Any) -> Observation:
    return observation(asked(status), **{"remote": remote("c1"), "secret": INTACT} | changes)


def test_it_is_recorded_before_anything_is_done() -> None:
    decided = plan(seen(OPEN), NOW)
    assert decided.actions == ()
    assert decided.status is not None
    assert shown(decided.status) == ("Reconciling", "TokenRevoking")
    assert decided.status.revocation == ASKED
    assert decided.status.handled is not None
    assert decided.status.handled.revoke_at == ASKED
    assert (decided.status.credits, decided.status.token) == (connection(status=OPEN).status.credits, None)


@pytest.mark.parametrize("at", ["2025-01-01T00:00:00Z", "now", ""])
def test_a_request_older_than_the_connection_or_no_time_revokes_nothing(at: str) -> None:
    decided = plan(observation(asked(OPEN, at), remote=remote("c1"), secret=INTACT), NOW)
    assert decided.status is not None
    assert decided.status.revocation is None


def test_a_request_that_was_acted_on_is_not_acted_on_again() -> None:
    decided = plan(seen(OPEN | {"handled": {"revokeAt": ASKED}}), NOW)
    assert decided.status is not None
    assert decided.status.revocation is None


def test_whatever_uses_the_token_goes_first_and_rights_before_the_secret() -> None:
    left = replace(NO_CRON_JOBS, is_anything_left=True)
    everything = seen(REVOKING, readers=READERS, cron_jobs=left, stores=StoresView(to_remove=("copy",)))
    assert plan(everything, NOW).actions == (
        RemoveReaders(),
        RemoveStore("copy"),
        EndRuns(),
        DeleteSecret("acme-makini"),
    )


def test_a_right_that_kubernetes_does_not_give_up_keeps_the_secret_and_not_the_revocation() -> None:
    refused = {Reason.READERS_REFUSED: Trouble(Reason.READERS_REFUSED, "no", NOW + timedelta(seconds=5))}
    assert plan(seen(REVOKING, readers=READERS, refusals=refused), NOW).actions == (Close(("c1",)),)


def test_it_is_closed_and_listed_until_nothing_is_left() -> None:
    assert plan(seen(REVOKING, secret=NO_SECRET), NOW).actions == (Close(("c1",)),)
    assert plan(seen(REVOKING, secret=NO_SECRET, remote=NOT_LISTED), NOW).actions == (ListAccount(),)
    down = plan(seen(REVOKING, secret=NO_SECRET, pool=pool(trouble=UNREACHABLE)), NOW)
    assert down.actions == ()
    assert down.status is not None
    assert shown(down.status) == ("Reconciling", "MakiniUnreachable")
    assert down.status.credits is not None
    assert down.status.revocation == ASKED
    assert plan(seen(REVOKING, secret=NO_SECRET, pool=pool(is_led=False)), NOW) == Plan()


def test_then_one_write_gives_up_everything_but_the_claim() -> None:
    before = asked(REVOKING).status
    after = plan(seen(REVOKING, secret=NO_SECRET, remote=remote()), NOW).status
    assert after is not None
    assert after.credits == before.credits
    assert (after.connection_id, after.intent, after.token, after.revocation) == (None, None, None, None)
    entry = (after.history or [])[0]
    assert (entry.connection_id, entry.reason) == ("c1", "TokenRevoked")
    assert [h.reason for h in happenings(before, after)] == ["TokenRevoked"]
    opened = plan(observation(connection(status=after.dump())), NOW).status
    assert opened is not None
    assert opened.intent is not None


@pytest.mark.parametrize("changes", [{"connected": False}, {"deleting": True}])
def test_who_disconnects_meanwhile_gives_the_seat_back(changes: dict[str, Any]) -> None:
    after = plan(observation(connection(status=REVOKING, **changes), secret=NO_SECRET), NOW).status
    assert after is not None
    assert (after.credits, after.revocation) == (None, None)


def test_the_first_token_after_it_restarts_the_workloads_once() -> None:
    history = [{"connectionID": "c1", "disconnectedAt": "2025-03-01T11:00:00Z", "reason": "TokenRevoked"}]
    again = UP | {"connectionID": "c2", "history": history}
    pending = {FIRST: WorkloadView(WorkloadState.PENDING)}
    conn = connection(status=again, token=WITH_TARGETS)
    first = plan(observation(conn, remote=remote("c2"), secret=INTACT, workloads=pending), NOW).status
    assert first is not None
    assert first.token is not None
    assert first.token.rotation is not None
    assert first.token.rotation.reason == "Revoked"
    without = plan(observation(connection(status=again), remote=remote("c2"), secret=INTACT), NOW).status
    assert without is not None
    assert without.token is not None
    assert without.token.rotation is None


# --- readers and stores while it runs --------------------------------------------------------------------------------

WANTS = {"readers": [{"serviceAccountName": "erp"}]}
STORE = {"name": "vault", "remoteKey": "acme", "secretStoreRef": {"kind": "SecretStore", "name": "vault"}}


def running(token: dict[str, Any] | None = None, **changes: Any) -> Observation:
    conn = connection(status=OPEN, **({"token": token} if token else {}))
    return observation(conn, **{"remote": remote("c1"), "secret": INTACT} | changes)


def test_readers_are_let_in_only_when_the_secret_is_known_to_be_ours() -> None:
    missing = ReadersView(are_as_wanted=False)
    assert plan(running(WANTS, readers=missing), NOW).actions == (ApplyReaders(),)
    assert ApplyReaders() not in plan(running(WANTS, readers=missing, secret=NO_SECRET), NOW).actions
    assert plan(running(WANTS, readers=missing, secret=FOREIGN), NOW).actions == ()


def test_a_secret_that_has_become_foreign_is_closed_to_readers_before_it_is_told() -> None:
    assert plan(running(WANTS, readers=READERS, secret=FOREIGN), NOW).actions == (RemoveReaders(),)


def test_without_readers_in_the_spec_their_rights_go() -> None:
    left = ReadersView(are_as_wanted=False, is_anything_there=True)
    assert plan(running(readers=left), NOW).actions == (RemoveReaders(),)


def test_the_former_secret_goes_after_the_right_to_read_it() -> None:
    left = ReadersView(are_as_wanted=False, is_anything_there=True)
    assert plan(running(WANTS, readers=left, superseded_secrets=("old",)), NOW).actions == (ApplyReaders(),)
    assert plan(running(WANTS, readers=READERS, superseded_secrets=("old",)), NOW).actions == (DeleteSecret("old"),)


def test_a_store_is_recorded_before_it_is_used() -> None:
    seen_now = running({"stores": [STORE]}, stores=StoresView(to_apply=("vault",)))
    first = plan(seen_now, NOW)
    assert first.actions == ()
    assert first.status is not None
    assert first.status.stores == ["vault"]
    recorded = seen_now.connection.model_copy(update={"status": first.status})
    (action,) = plan(replace(seen_now, connection=recorded), NOW).actions
    assert getattr(action, "store", None) == "vault"


@pytest.mark.parametrize(
    ("stores", "told"),
    [
        (StoresView(is_served=False), ("Stalled", "StoresNotServed")),
        (StoresView(problem="store vault: denied"), ("Reconciling", "StoreNotReady")),
    ],
)
def test_trouble_with_a_store_is_told_and_the_token_stays(stores: StoresView, told: tuple[str, str]) -> None:
    status = plan(running({"stores": [STORE]}, stores=stores), NOW).status
    assert status is not None
    assert shown(status) == told
    assert status.token is not None
    assert status.phase == "Active"
