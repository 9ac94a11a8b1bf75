"""The whole idea end to end: credits booked, connection opened, token in a Secret, clean disconnect."""

from tests.cluster.fixtures_operator import World, condition
from tests.cluster.kstatus import compute


def test_a_connection_gets_credits_a_token_that_works_and_an_honest_status(world: World) -> None:
    world.make_pool(12)
    world.apply(world.connection("acme-s4", "sap-s4hana", metadata={"plan": "gold"}))
    world.until_ready("acme-s4")

    obj = world.get("acme-s4")
    assert compute(obj)[0] == "Current"
    assert obj["status"]["credits"]["amount"] == 4
    assert obj["status"]["phase"] == "Active"
    assert condition(obj, "TokenReady")["status"] == "True"
    world.until(lambda: world.held() == 4)
    published = world.secret("acme-s4-makini")
    assert published["url"] == world.sandbox.url
    assert published["connection-id"] == obj["status"]["connectionID"]
    assert world.sandbox.accepts(published["token"])
    (remote,) = world.sandbox.connections()
    assert remote["key"] == obj["status"]["connectionID"]
    assert "gold" in str(remote["user_metadata"])
    assert [reason for reason, _ in world.events("acme-s4")] == ["CreditsGranted", "Connected"]


def test_who_does_not_fit_waits_and_says_why_and_gets_its_turn_when_credits_return(world: World) -> None:
    world.make_pool(12)
    world.apply(world.connection("s4", "sap-s4hana"), world.connection("ecc", "sap-ecc", "OnPremises"))
    world.until_ready("s4", "ecc")
    world.apply(world.connection("cmms", "fiix"))
    waiting = world.until_reason("cmms", "WaitingForCredits")
    assert compute(waiting)[0] == "InProgress"
    assert waiting["status"]["waiting"] == {
        "need": 1,
        "available": 0,
        "position": 1,
        "reason": "WaitingForCredits",
    }
    assert world.get_pool()["status"]["connections"] == {"holding": 2, "waiting": 1}
    token = world.secret("ecc-makini")["token"]

    world.delete("ecc")

    assert not world.sandbox.accepts(token)
    assert "ecc-makini" not in world.secret_names()
    world.until_ready("cmms")
    world.until(lambda: world.held() == 5)


def test_disconnecting_and_reconnecting_gives_a_new_id_and_a_new_token(world: World) -> None:
    world.make_pool(12)
    world.apply(world.connection("cmms"))
    world.until_ready("cmms")
    first, old = world.get("cmms"), world.secret("cmms-makini")["token"]

    world.patch("cmms", {"connected": False})
    off = world.until_reason("cmms", "Disconnected")
    assert compute(off)[0] == "Current"
    assert "credits" not in off["status"]
    assert "cmms-makini" not in world.secret_names()
    assert not world.sandbox.accepts(old)
    world.until(lambda: world.held() == 0)

    world.patch("cmms", {"connected": True})
    world.until_ready("cmms")
    second = world.get("cmms")
    assert second["status"]["connectionID"] != first["status"]["connectionID"]
    assert world.sandbox.accepts(world.secret("cmms-makini")["token"])
    (entry,) = second["status"]["history"]
    assert (entry["connectionID"], entry["reason"]) == (first["status"]["connectionID"], "Disconnected")
    assert [r for r, _ in world.events("cmms")] == [
        "CreditsGranted",
        "Connected",
        "Disconnected",
        "CreditsReturned",
        "CreditsGranted",
        "Connected",
    ]


def test_history_keeps_the_last_five(world: World) -> None:
    world.make_pool(12)
    world.apply(world.connection("cmms"))
    for _ in range(6):
        world.patch("cmms", {"connected": True})
        world.until_ready("cmms")
        world.patch("cmms", {"connected": False})
        world.until_reason("cmms", "Disconnected")
    history = world.get("cmms")["status"]["history"]
    assert len(history) == 5
    assert len({entry["connectionID"] for entry in history}) == 5
