"""Who is served when credits are short, on the real API server: priority, strict order, namespaces, overage."""

from tests.cluster.fixtures_operator import Manifest, World, condition
from tests.cluster.kstatus import compute

NAMESPACE_LIMIT = {"access": {"maxCreditsPerNamespace": 4}}
S4 = ("sap-s4hana", "Cloud")
ECC = ("sap-ecc", "OnPremises")


def waiting(world: World, name: str) -> Manifest:
    return world.get(name)["status"]["waiting"]


def until_waiting(world: World, name: str, reason: str, position: int) -> None:
    def stands() -> bool:
        found = world.get(name)["status"].get("waiting") or {}
        return (found.get("reason"), found.get("position")) == (reason, position)

    world.until(stands)


def test_a_higher_priority_is_served_first_and_everybody_sees_the_place(world: World) -> None:
    world.make_pool(credits=8)
    world.apply(world.connection("first", *ECC))
    world.until_ready("first")
    world.apply(world.connection("patient", *S4))
    until_waiting(world, "patient", "WaitingForCredits", 1)
    world.apply(world.connection("urgent", *S4, priority=10), world.connection("last", *S4, priority=-5))
    until_waiting(world, "urgent", "WaitingForCredits", 1)
    until_waiting(world, "patient", "WaitingForCredits", 2)
    until_waiting(world, "last", "WaitingForCredits", 3)
    assert "number 2 in the queue" in condition(world.get("patient"), "Ready")["message"]
    world.patch("patient", {"priority": 20})
    until_waiting(world, "patient", "WaitingForCredits", 1)
    world.patch("first", {"connected": False})
    world.until_ready("patient", "urgent")
    until_waiting(world, "last", "WaitingForCredits", 1)
    world.until(lambda: world.held() == 8)


def test_strictly_in_order_nobody_overtakes_and_changing_the_strategy_lets_them_pass(world: World) -> None:
    world.make_pool(credits=9, queueing={"strategy": "StrictFIFO"})
    world.apply(world.connection("holder", *S4))
    world.until_ready("holder")
    world.apply(world.connection("large", *ECC, priority=1))  # creation times are whole seconds
    until_waiting(world, "large", "WaitingForCredits", 1)
    world.apply(world.connection("small"))
    until_waiting(world, "small", "WaitingInLine", 2)
    assert "StrictFIFO" in condition(world.get("small"), "Ready")["message"]
    world.kubectl(
        "patch", "cpool", world.pool, "--type=merge", "-p", '{"spec":{"queueing":{"strategy":"BestEffortFIFO"}}}'
    )
    world.until_ready("small")
    until_waiting(world, "large", "WaitingForCredits", 1)


def test_a_namespace_gets_no_more_than_its_share_and_holds_up_nobody(world: World) -> None:
    world.make_pool(credits=12, **NAMESPACE_LIMIT)
    world.apply(world.connection("one", *S4))
    world.until_ready("one")
    world.apply(world.connection("two"), world.connection("never", *ECC))
    until_waiting(world, "two", "NamespaceLimitReached", 1)
    never = world.until_reason("never", "ExceedsNamespaceLimit")
    assert compute(never)[0] == "Failed"
    world.kubectl(
        "patch", "cpool", world.pool, "--type=merge", "-p", '{"spec":{"access":{"maxCreditsPerNamespace":5}}}'
    )
    world.until_ready("two")


def test_overage_is_used_after_the_bought_credits_and_shown(world: World) -> None:
    world.make_pool(credits=2, overage={"limit": 3})
    world.apply(world.connection("s4", *S4))
    world.until_ready("s4")
    books = world.get_pool()["status"]["credits"]
    assert {k: books[k] for k in ("total", "held", "available", "overage")} == {
        "total": 2,
        "held": 4,
        "available": 1,
        "overage": 2,
    }
    world.kubectl("patch", "cpool", world.pool, "--type=merge", "-p", '{"spec":{"overage":null}}')
    world.until(lambda: condition(world.get_pool(), "Overcommitted")["status"] == "True")
    world.apply(world.connection("one"))
    until_waiting(world, "one", "WaitingForCredits", 1)
    world.until(lambda: world.held() == 4)


def test_only_selected_namespaces_may_use_a_pool_and_a_label_lets_one_in_at_once(world: World) -> None:
    selector = {"namespaceSelector": {"matchExpressions": [{"key": "makini", "operator": "In", "values": ["allowed"]}]}}
    world.make_pool(credits=8, access=selector)
    world.apply(world.connection("acme"))
    obj = world.until_reason("acme", "NamespaceNotAllowed")
    assert compute(obj)[0] == "Failed"
    assert "ask the platform admin to label it" in condition(obj, "Stalled")["message"]
    world.kubectl("label", "namespace", world.namespace, "makini=allowed")
    world.until_ready("acme")
    world.kubectl("label", "namespace", world.namespace, "makini-")
    world.apply(world.connection("later"))
    world.until_reason("later", "NamespaceNotAllowed")
    world.until_ready("acme")
    world.until(lambda: world.held() == 1)
    books = world.get_pool()["status"]
    assert books["namespaces"] == [{"name": world.namespace, "connections": 1, "credits": 1}]
    assert books["tiers"] == [{"tier": "I", "connections": 1, "credits": 1}]


def test_a_changed_price_is_for_new_grants_and_shown_where_it_differs(world: World) -> None:
    world.make_pool(credits=20)
    world.apply(world.connection("before"))
    world.until_ready("before")
    world.kubectl("patch", "cpool", world.pool, "--type=merge", "-p", '{"spec":{"pricing":{"tiers":{"I":3}}}}')
    world.until(lambda: "price is now 3 credits" in condition(world.get("before"), "CreditsHeld")["message"])
    world.apply(world.connection("after"))
    world.until_ready("after")
    assert world.get("before")["status"]["credits"]["amount"] == 1
    assert world.get("after")["status"]["credits"]["amount"] == 3
    world.until(lambda: world.held() == 4)
    world.until(lambda: "price is now" not in condition(world.get("after"), "CreditsHeld")["message"])
