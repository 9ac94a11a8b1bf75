"""Whatever happens, a connection ends where its spec says, and on the way nothing is lost, doubled or let go too early.

What must never happen on the way is checked by the model, after each effect.
"""

from collections.abc import Iterable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.unit.lifecycle.builders import shown
from tests.unit.lifecycle.model import TheWorld

ENOUGH = 60
"""Rounds in which any situation must have come to rest; a whole life takes about ten."""

DISTURBANCES = (
    "toggle",
    "edit",
    "delete",
    "crash",
    "end_in_dashboard",
    "open_elsewhere",
    "take_credits",
    "return_credits",
    "lose_secret",
    "edit_secret",
    "request_rotation",
    "request_revocation",
    "change_what_makini_does",
    "break_rollout",
    "mend_rollout",
    "start_run",
    "finish_run",
    "lose_cron_job",
    "make_foreign_secret",
    "remove_foreign_secret",
    "makini_fails",
    "makini_recovers",
    "move_elsewhere",
    "move_back",
    "begin_listing",
    "finish_listing",
    "wait",
)
STORIES = st.lists(st.tuples(st.integers(0, 9), st.sampled_from(DISTURBANCES)), max_size=14)
REPLIES = st.lists(st.sampled_from(["created", "lost before", "lost after", "not sent", "refused"]), max_size=4)
CLOSES = st.lists(st.booleans(), max_size=4)


def live(story: Iterable[tuple[int, str]], replies: Iterable[str] = (), closes: Iterable[bool] = ()) -> TheWorld:
    """A world in which this happens, each after so many steps."""
    world = TheWorld(replies=iter(replies), closes=iter(closes))
    for steps, disturbance in story:
        for _ in range(steps):
            world.step()
            world.list_when_asked()
        getattr(world, disturbance)()
    return world


def come_to_rest(world: TheWorld) -> int:
    """Nothing disturbs any more; returns the rounds that it took until nothing changed, also after two listings."""
    world.makini_recovers()
    world.move_back()
    world.remove_foreign_secret()
    world.return_credits()
    world.mend_rollout()
    quiet = 0
    for rounds in range(ENOUGH):
        world.finish_listing()
        world.wait()
        quiet = 0 if world.step() or world.step() else quiet + 1
        if quiet > 3:
            return rounds
        world.begin_listing()
    raise AssertionError(f"still restless after {ENOUGH} rounds: {world.status.dump()}")


def check_rest(world: TheWorld) -> None:
    status = world.status
    assert len(world.alive) <= 1, f"more than one connection is alive: {sorted(world.alive)}"
    if world.deleting:
        assert not world.exists, "the resource never goes"
    if world.is_going_down():
        assert (world.alive, world.secret) == ({}, None)
        assert (world.has_cron_job, world.is_run_alive, world.is_open_to_readers) == (False, False, False)
        assert not world.exists or shown(status) == ("Ready", "Disconnected")
    if world.is_going_down() and world.exists:
        assert (status.credits, status.connection_id, status.intent, status.token) == (None, None, None, None)
        return
    if world.exists:
        progress, reason = shown(status)
        assert (progress, reason) in {
            ("Ready", "Connected"),
            ("Stalled", "DisconnectedRemotely"),
            ("Stalled", "CredentialsRejected"),
        }
        if progress == "Ready":
            assert status.credits is not None
            assert list(world.alive) == [status.connection_id] == [world.secret]
            assert world.has_cron_job
            assert world.is_open_to_readers
            assert (status.intent, status.revocation) == (None, None)
            assert status.token is not None
            assert (status.token.rotation, world.previous_until) == (None, None)
            assert not world.revoked & set(world.alive)
        else:
            assert (world.alive, world.secret, status.credits) == ({}, None, None)
            assert (world.has_cron_job, world.is_run_alive) == (False, False)


@settings(max_examples=400, deadline=None)
@given(STORIES, REPLIES, CLOSES)
@example(story=[(15, "open_elsewhere"), (0, "end_in_dashboard")], replies=[], closes=[])
@example(
    story=[(15, "end_in_dashboard"), (0, "begin_listing"), (0, "finish_listing"), (0, "crash")], replies=[], closes=[]
)
def test_whatever_happens_a_connection_comes_to_rest_where_its_spec_says(
    story: list[tuple[int, str]], replies: list[str], closes: list[bool]
) -> None:
    world = live(story, replies, closes)
    come_to_rest(world)
    check_rest(world)


@pytest.mark.parametrize("reply", ["created", "lost before", "lost after", "not sent"])
@pytest.mark.parametrize("steps", range(12))
def test_a_crash_after_any_step_opens_exactly_one_connection(steps: int, reply: str) -> None:
    world = live([(steps, "crash")], [reply])
    come_to_rest(world)
    check_rest(world)
    assert list(world.alive) == [world.status.connection_id]


@pytest.mark.parametrize("steps", range(12))
@pytest.mark.parametrize("ending", ["toggle", "delete"])
def test_a_crash_after_any_step_on_the_way_down_leaves_nothing(steps: int, ending: str) -> None:
    world = live([(15, "start_run"), (0, ending), (steps, "crash")])
    come_to_rest(world)
    check_rest(world)
    assert world.alive == {}
    assert not world.is_run_alive


@pytest.mark.parametrize("crashes", [True, False], ids=["after a crash", "in one process"])
@pytest.mark.parametrize("steps", range(12))
def test_a_disconnect_that_is_taken_back_is_never_taken_for_somebody_elses(steps: int, crashes: bool) -> None:
    """Whatever had been done of it: there is a connection again, and the model sees that nobody else is blamed."""
    world = live([(15, "toggle"), (steps, "crash" if crashes else "wait"), (0, "toggle")])
    come_to_rest(world)
    check_rest(world)
    assert shown(world.status) == ("Ready", "Connected")


def test_a_run_that_has_lost_its_cron_job_ends_with_the_connection_also_while_makini_is_down() -> None:
    world = live([(15, "start_run"), (0, "lose_cron_job"), (0, "makini_fails"), (0, "delete")])
    assert world.is_run_alive
    for _ in range(3):
        world.step()
    assert not world.is_run_alive
    assert world.status.credits is not None


@pytest.mark.parametrize("steps", range(14))
@pytest.mark.parametrize("what", ["request_rotation", "request_revocation"])
def test_a_crash_after_any_step_of_a_rotation_or_revocation_changes_nothing(steps: int, what: str) -> None:
    world = TheWorld()
    come_to_rest(world)
    first, credits_ = world.status.connection_id, world.status.credits
    getattr(world, what)()
    for _ in range(steps):
        world.step()
        world.list_when_asked()
    world.crash()
    come_to_rest(world)
    check_rest(world)
    assert world.status.credits == credits_
    assert (world.status.connection_id == first) is (what == "request_rotation")
    assert world.restarted_for == ((first, 1) if what == "request_rotation" else (world.status.connection_id, 0))


def test_an_undisturbed_connection_is_opened_with_one_post() -> None:
    world = TheWorld()
    come_to_rest(world)
    check_rest(world)
    assert world.posts == 1
    assert shown(world.status) == ("Ready", "Connected")


def test_lost_replies_never_lead_to_a_second_connection() -> None:
    world = live([], ["lost after"])
    come_to_rest(world)
    assert (world.posts, world.made) == (1, 1)


def test_what_somebody_else_ended_is_opened_again_only_on_request() -> None:
    world = TheWorld()
    come_to_rest(world)
    world.end_in_dashboard()
    come_to_rest(world)
    assert shown(world.status) == ("Stalled", "DisconnectedRemotely")
    assert world.status.credits is None
    for disturbance in (world.edit, world.crash, world.make_foreign_secret, world.makini_fails, world.move_elsewhere):
        disturbance()
        for _ in range(5):
            world.step()
            world.list_when_asked()
        come_to_rest(world)
    assert world.made == 1
    world.toggle()
    come_to_rest(world)
    world.toggle()
    come_to_rest(world)
    check_rest(world)
    assert (world.made, shown(world.status)) == (2, ("Ready", "Connected"))


def test_who_waits_gets_its_turn() -> None:
    world = live([(0, "take_credits"), (9, "wait")])
    assert shown(world.status) == ("Reconciling", "WaitingForCredits")
    assert world.posts == 0
    come_to_rest(world)
    assert shown(world.status) == ("Ready", "Connected")


def test_while_makini_is_down_a_deleted_connection_loses_its_secret_and_keeps_its_claim() -> None:
    world = TheWorld()
    come_to_rest(world)
    world.makini_fails()
    world.delete()
    for _ in range(10):
        world.step()
        world.wait()
    assert (world.secret, world.exists) == (None, True)
    assert world.status.credits is not None
    come_to_rest(world)
    assert (world.exists, world.alive) == (False, {})
