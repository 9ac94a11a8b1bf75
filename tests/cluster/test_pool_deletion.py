"""A pool goes only when it is known that nothing of it is open at Makini."""

from tests.cluster.fixtures_operator import World, condition


def delete(world: World) -> None:
    world.kubectl("delete", "cpool", world.pool, "--wait=false")


def is_gone(world: World) -> bool:
    return world.kubectl("get", "cpool", world.pool, "--ignore-not-found", "-o", "name").stdout == ""


def test_a_pool_whose_account_was_never_reached_goes_at_once(world: World) -> None:
    world.make_pool()
    world.kubectl("delete", "cpool", world.pool, "--timeout=30s")
    world.make_pool(account={"url": "http://127.0.0.1:9", "credentialsSecretRef": {"name": "nowhere"}})
    world.until(lambda: condition(world.get_pool(), "Ready")["reason"] == "AccountCredentialsNotFound")
    delete(world)
    world.until(lambda: is_gone(world))


def test_what_was_listed_stays_known_without_the_accounts_secret(world: World) -> None:
    world.make_pool()
    world.until(lambda: condition(world.get_pool(), "Ready")["status"] == "True")
    world.kubectl("delete", "secret", world.account, "-n", "makini-system")
    delete(world)
    world.until(lambda: is_gone(world))


def test_after_a_restart_it_waits_for_makini_and_says_so(world: World) -> None:
    world.make_pool()
    world.until(lambda: condition(world.get_pool(), "Ready")["status"] == "True")
    world.rig.operator.kill()
    world.sandbox.stop()
    delete(world)
    world.rig.start_operator("--account-relist", "3")
    waiting = "to be deleted as soon as its account could be looked through"
    world.until(lambda: waiting in condition(world.get_pool(), "Ready")["message"])
    world.sandbox.start()
    world.until(lambda: is_gone(world), 60)


def test_while_a_connection_is_open_it_says_what_it_waits_for(world: World) -> None:
    world.make_pool()
    world.apply(world.connection("acme"))
    world.until_ready("acme")
    delete(world)
    world.until(lambda: condition(world.get_pool(), "Ready")["reason"] == "PoolDeleting")
    assert "waiting for 1 connection to be disconnected" in condition(world.get_pool(), "Ready")["message"]
    world.delete("acme")
    world.until(lambda: is_gone(world))
