"""What people and machines do to a connection behind the operator's back."""

import json

import pytest
from tests.cluster.fixtures_operator import World, condition
from tests.cluster.kstatus import compute
from tests.harness import OPERATOR_NAMESPACE, Sandbox
from tests.localkube import objects


def test_a_deleted_secret_comes_back_with_a_working_token(world: World) -> None:
    world.make_pool()
    world.apply(world.connection("cmms"))
    world.until_ready("cmms")
    world.kubectl("delete", "secret", "cmms-makini", "-n", world.namespace)
    world.until(lambda: "cmms-makini" in world.secret_names())
    assert world.sandbox.accepts(world.secret("cmms-makini")["token"])


def test_an_edited_token_is_replaced_and_an_edited_label_costs_no_token(world: World) -> None:
    world.make_pool()
    world.apply(world.connection("cmms", token={"secretTemplate": {"labels": {"team": "erp"}}}))
    world.until_ready("cmms")
    token = world.secret("cmms-makini")["token"]

    world.kubectl("label", "secret", "cmms-makini", "-n", world.namespace, "team=other", "--overwrite")
    world.until(lambda: _labels(world)["team"] == "erp")
    world.kubectl("label", "secret", "cmms-makini", "-n", world.namespace, "makini.io/managed-by-")
    world.until(lambda: _labels(world).get("makini.io/managed-by") == "operator")
    assert world.secret("cmms-makini")["token"] == token

    edited = json.dumps({"stringData": {"token": "somebody's"}})
    world.kubectl("patch", "secret", "cmms-makini", "-n", world.namespace, "--type=merge", "-p", edited)
    world.until(lambda: world.sandbox.accepts(world.secret("cmms-makini")["token"]))


def test_a_template_that_drops_a_label_removes_it_and_leaves_those_of_others(world: World) -> None:
    world.make_pool()
    world.apply(world.connection("cmms", token={"secretTemplate": {"labels": {"team": "erp"}}}))
    world.until_ready("cmms")
    token = world.secret("cmms-makini")["token"]
    world.kubectl("label", "secret", "cmms-makini", "-n", world.namespace, "theirs=yes")

    world.patch("cmms", {"token": {"secretTemplate": {"labels": {"team": None, "cost-centre": "7"}}}})

    world.until(lambda: _labels(world).get("cost-centre") == "7")
    assert "team" not in _labels(world)
    assert _labels(world)["theirs"] == "yes"
    assert world.secret("cmms-makini")["token"] == token


def test_a_renamed_secret_keeps_its_token(world: World) -> None:
    world.make_pool()
    world.apply(world.connection("cmms"))
    world.until_ready("cmms")
    token = world.secret("cmms-makini")["token"]
    world.patch("cmms", {"token": {"secretName": "renamed"}})
    world.until(lambda: world.secret_names() & {"renamed", "cmms-makini"} == {"renamed"})
    assert world.secret("renamed")["token"] == token
    world.until_ready("cmms")
    assert world.get("cmms")["status"]["token"]["secretName"] == "renamed"


def test_a_foreign_secret_is_never_touched_and_no_credits_are_booked_for_it(world: World) -> None:
    world.make_pool()
    foreign = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "cmms-makini", "namespace": world.namespace},
        "stringData": {"token": "not yours"},
    }
    world.apply(foreign)
    before = world.rig.get("secret", "cmms-makini", "-n", world.namespace)
    world.apply(world.connection("cmms"))
    stuck = world.until_reason("cmms", "SecretConflict")
    assert compute(stuck)[0] == "Failed"
    assert "credits" not in stuck["status"]
    assert "spec.token.secretName" in condition(stuck, "Ready")["message"]
    assert world.rig.get("secret", "cmms-makini", "-n", world.namespace) == before

    world.patch("cmms", {"token": {"secretName": "mine"}})
    world.until_ready("cmms")
    world.delete("cmms")
    assert world.rig.get("secret", "cmms-makini", "-n", world.namespace) == before


def test_two_connections_cannot_share_a_secret(world: World) -> None:
    world.make_pool()
    world.apply(world.connection("one", token={"secretName": "shared"}))
    world.until_ready("one")
    token = world.secret("shared")["token"]
    world.apply(world.connection("two", token={"secretName": "shared"}))
    stuck = world.until_reason("two", "SecretConflict")
    assert "MakiniConnection one" in condition(stuck, "Ready")["message"]
    assert world.secret("shared")["token"] == token


def test_a_disconnect_in_the_dashboard_is_noticed_and_not_undone(world: World) -> None:
    world.make_pool()
    world.apply(world.connection("cmms"))
    world.until_ready("cmms")
    connection_id = world.get("cmms")["status"]["connectionID"]

    assert world.sandbox.call("DELETE", f"/api/system/connections/{connection_id}")[0] == 200

    stuck = world.until_reason("cmms", "DisconnectedRemotely")
    assert compute(stuck)[0] == "Failed"
    assert "credits" not in stuck["status"]
    assert stuck["status"]["history"][0]["reason"] == "DisconnectedRemotely"
    assert "cmms-makini" not in world.secret_names()
    world.until(lambda: world.held() == 0)
    listings = world.sandbox.requests()["GET /api/system/connections"]
    world.until(lambda: world.sandbox.requests()["GET /api/system/connections"] >= listings + 2)
    assert world.sandbox.connections() == []

    world.patch("cmms", {"connected": False})
    world.until_reason("cmms", "Disconnected")
    world.patch("cmms", {"connected": True})
    world.until_ready("cmms")


def test_an_orphan_with_our_marker_is_disconnected_and_a_stranger_is_left_alone(world: World) -> None:
    world.make_pool()
    world.apply(world.connection("cmms"))
    world.until_ready("cmms")
    (ours,) = world.sandbox.connections()
    stranger = {"name": "mk1.1.aaaaaaaaaaaaaaaa.bbbbbbbb forged", "provider": "fiix", "credentials": {"login": "x"}}
    duplicate = {"name": ours["name"], "provider": "fiix", "credentials": {"login": "x"}}
    for body in (stranger, duplicate):
        assert world.sandbox.call("POST", "/api/system/connections", body=body)[0] == 200

    world.until(lambda: len(world.sandbox.connections()) == 2)
    names = {c["name"]: c["key"] for c in world.sandbox.connections()}
    assert names[ours["name"]] == ours["key"]
    assert stranger["name"] in names
    world.until(lambda: world.get_pool()["status"]["account"] | {"id": ""} == {"id": "", "owned": 1, "unowned": 1})
    key = names[stranger["name"]]
    assert world.sandbox.call("DELETE", f"/api/system/connections/{key}")[0] == 200


def test_hold_grants_nothing_new_and_keeps_what_is_there(world: World) -> None:
    world.make_pool()
    world.apply(world.connection("first"))
    world.until_ready("first")
    world.kubectl("patch", "cpool", world.pool, "--type=merge", "-p", '{"spec":{"hold":true}}')
    world.apply(world.connection("second"))
    world.until_reason("second", "PoolOnHold")
    world.until(lambda: world.held() == 1)
    world.kubectl("patch", "cpool", world.pool, "--type=merge", "-p", '{"spec":{"hold":false}}')
    world.until_ready("first", "second")


def test_lowering_a_pool_takes_nothing_away_and_grants_nothing_new(world: World) -> None:
    world.make_pool(3)
    world.apply(*(world.connection(f"c{i}") for i in range(3)))
    world.until_ready("c0", "c1", "c2")
    world.kubectl("patch", "cpool", world.pool, "--type=merge", "-p", '{"spec":{"credits":2}}')
    world.until(lambda: condition(world.get_pool(), "Overcommitted")["status"] == "True")
    world.delete("c0")
    world.apply(world.connection("c3"))
    world.until_reason("c3", "WaitingForCredits")
    world.until(lambda: world.held() == 2)


def test_a_pool_in_use_is_not_deleted_before_its_connections_are_gone(world: World) -> None:
    world.make_pool()
    world.apply(world.connection("cmms"))
    world.until_ready("cmms")
    world.kubectl("delete", "cpool", world.pool, "--wait=false")
    world.apply(world.connection("late"))
    world.until_reason("late", "PoolDeleting")
    assert condition(world.get_pool(), "InUse")["status"] == "True"
    world.delete("cmms")
    assert world.until(lambda: not objects.exists(world.rig.cluster, "cpool", world.pool))
    world.until_reason("late", "PoolNotFound")


def test_credentials_that_lead_to_another_account_stop_everything(
    world: World, tmp_path_factory: pytest.TempPathFactory
) -> None:
    world.make_pool()
    world.apply(world.connection("cmms"))
    world.until_ready("cmms")
    other = Sandbox(tmp_path_factory.mktemp("other"))
    other.start()
    try:
        account = {"spec": {"account": {"url": other.url}}}
        world.apply(world.rig.account_secret("other-account", other))
        account["spec"]["account"]["credentialsSecretRef"] = {"name": "other-account"}
        world.kubectl("patch", "cpool", world.pool, "--type=merge", "-p", json.dumps(account))
        pool = world.until(lambda: _with_reason(world, "AccountChanged"))
        assert compute(pool)[0] == "Failed"
        world.delete("cmms", wait=False)
        world.until(lambda: "not confirmed by Makini" in condition(world.get("cmms"), "Ready")["message"])
        assert len(world.sandbox.connections()) == 1

        account["spec"]["account"] = {"url": world.sandbox.url, "credentialsSecretRef": {"name": world.account}}
        world.kubectl("patch", "cpool", world.pool, "--type=merge", "-p", json.dumps(account))
        world.until(lambda: world.sandbox.connections() == [])
    finally:
        other.stop()


def test_a_missing_account_secret_and_a_missing_login_are_waited_for(world: World) -> None:
    world.make_pool()
    world.kubectl("delete", "secret", world.account, "-n", OPERATOR_NAMESPACE)
    world.kubectl("delete", "secret", world.login, "-n", world.namespace)
    world.until(lambda: _with_reason(world, "AccountCredentialsNotFound"), 40)
    world.apply(world.connection("cmms"))
    waiting = world.until_reason("cmms", "LoginSecretNotFound")
    assert compute(waiting)[0] == "InProgress"
    world.apply(world.rig.account_secret(world.account, world.sandbox), world.login_secret())
    world.until_ready("cmms", seconds=60)


def test_a_wrong_login_returns_the_credits_and_is_tried_again_with_a_new_secret(world: World) -> None:
    world.make_pool(1)
    wrong = world.login_secret() | {"stringData": {"login": "makini", "password": "wrong"}}
    world.apply(wrong, world.connection("cmms"))
    stuck = world.until_reason("cmms", "CredentialsRejected")
    assert compute(stuck)[0] == "Failed"
    world.until(lambda: world.held() == 0)
    world.apply(world.login_secret())
    world.until_ready("cmms", seconds=60)


def test_the_spec_is_fixed_while_credits_are_held_and_free_before(world: World) -> None:
    world.make_pool()
    world.apply(world.connection("cmms", "no-such-system"))
    world.until_reason("cmms", "UnknownSystem")
    world.patch("cmms", {"system": {"name": "fiix"}})
    world.until_ready("cmms")
    refused = world.kubectl(
        "patch", "mconn", "cmms", "-n", world.namespace, "--type=merge", "-p", '{"spec":{"system":{"name":"upkeep"}}}',
        check=False,
    )  # fmt: skip
    assert refused.returncode != 0
    assert "set connected: false first" in refused.stderr


def _labels(world: World) -> dict[str, str]:
    return world.rig.get("secret", "cmms-makini", "-n", world.namespace)["metadata"].get("labels") or {}


def _with_reason(world: World, reason: str) -> dict[str, object] | None:
    pool = world.get_pool()
    return pool if condition(pool, "Ready")["reason"] == reason else None


def test_whoever_changes_their_mind_in_the_middle_of_a_disconnect_is_connected_again(world: World) -> None:
    """Our own disconnect is never taken for one in Makini's dashboard, which would not be undone."""
    world.make_pool()
    world.apply(world.connection("acme"))
    world.until_ready("acme")
    first = world.get("acme")["status"]["connectionID"]
    calls = sum(count for call, count in world.sandbox.requests().items() if call.startswith("DELETE"))
    listing = {"method": "GET", "path": "^/api/system/connections", "kind": "latency", "seconds": 2.0, "times": 1}
    world.sandbox.fault(listing)
    world.patch("acme", {"connected": False})
    world.until(
        lambda: sum(n for call, n in world.sandbox.requests().items() if call.startswith("DELETE")) > calls
    )  # fmt: skip
    world.patch("acme", {"connected": True})
    world.until_ready("acme", seconds=60)
    status = world.get("acme")["status"]
    assert status["connectionID"] != first
    assert [entry["reason"] for entry in status["history"]] == ["Disconnected"]
    world.until(lambda: len(world.sandbox.connections()) == world.held() == 1)
