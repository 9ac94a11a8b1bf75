"""After a restore: what is found at Makini under an earlier uid is adopted, never opened again."""

from tests.unit.lifecycle.builders import (
    CLAIM,
    EARLIER,
    GRANT,
    INTACT,
    NOW,
    TOKEN,
    connection,
    observation,
    remote,
    status_of,
)

from makini_operator.lifecycle.plan import plan

OLD = "tagofanearlieruid"[:16]


def test_a_granted_connection_that_is_found_is_recorded_with_the_tag_it_carries() -> None:
    status = plan(observation(connection(), grant=GRANT, remote=remote("c7"), adoptable=OLD), NOW).status
    assert status is not None
    assert (status.connection_id, status.adopted, status.intent) == ("c7", OLD, None)
    assert status.credits is not None


def test_what_is_not_found_is_opened_with_its_own_tag() -> None:
    status = plan(observation(connection(), grant=GRANT, remote=remote()), NOW).status
    assert status is not None
    assert (status.connection_id, status.adopted) == (None, None)
    assert status.intent is not None


def test_a_recorded_id_under_an_earlier_tag_is_kept() -> None:
    held = {"credits": CLAIM, "connectionID": "c1", "connectedAt": EARLIER, "token": TOKEN}
    status = status_of(observation(connection(status=held), remote=remote("c1"), secret=INTACT, adoptable=OLD))
    assert (status.connection_id, status.adopted) == ("c1", OLD)


def test_disconnecting_forgets_the_tag() -> None:
    held = {"credits": CLAIM, "connectionID": "c1", "connectedAt": EARLIER, "adopted": OLD}
    status = status_of(observation(connection(status=held, connected=False), remote=remote()))
    assert (status.connection_id, status.credits, status.adopted) == (None, None, None)
