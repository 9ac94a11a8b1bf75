"""The real ledger, plan, allocator and account index, in random orders of events, with one or two processes.

What must never happen is checked after each write (story.py); then everything must come to rest where the specs say.
"""

import logging
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from tests.unit.exploration.clock import hurry
from tests.unit.exploration.moves import LENGTHS, search
from tests.unit.exploration.mutants import DURING_A_LISTING, MUTANTS, Mutant
from tests.unit.exploration.story import Story

WHICH = st.integers(0, 1)
TASK = st.integers(0, 2)
NAME = st.sampled_from(["a", "b"])
STEPS = st.sampled_from(LENGTHS)
CI = settings(
    max_examples=60,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
SEEDS = 100
"""Stories in which a mutant must be found."""


class Machine(RuleBasedStateMachine):
    """The moves of a story, as Hypothesis likes to choose, and to shorten, them."""

    @initialize(is_wide=st.booleans())
    def begin(self, is_wide: bool) -> None:
        self.story = Story(is_wide=is_wide)

    @rule(which=WHICH, steps=STEPS)
    def run(self, which: int, steps: int) -> None:
        self.story.run(which, steps)

    @rule(which=WHICH, steps=STEPS)
    def push(self, which: int, steps: int) -> None:
        self.story.push(which, steps)

    @rule(which=WHICH, count=st.integers(1, 5))
    def watch(self, which: int, count: int) -> None:
        self.story.watch(which, count)

    @rule(which=WHICH, task=TASK, how=st.sampled_from(["answer", "perform", "lose", "drop", "turn_away", "delay"]))
    def call(self, which: int, task: int, how: str) -> None:
        getattr(self.story, how)(which, task)

    @rule(which=WHICH, how=st.sampled_from(["crash", "relist"]))
    def process(self, which: int, how: str) -> None:
        getattr(self.story, how)(which)

    @rule(name=NAME, how=st.sampled_from(["toggle", "toggle", "delete", "create", "wipe"]))
    def people(self, name: str, how: str) -> None:
        getattr(self.story, how)(name)

    @rule(how=st.sampled_from(["start", "arrive", "lower", "raise_again"]))
    def others(self, how: str) -> None:
        getattr(self.story, how)()

    def teardown(self) -> None:
        if hasattr(self, "story"):
            self.story.come_to_rest()


@pytest.fixture
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        hurry(patch)
        patch.setattr(logging.root.manager, "disable", logging.CRITICAL)
        yield patch


@pytest.mark.usefixtures("patch")
def test_whatever_happens_no_promise_is_broken_and_everything_comes_to_rest() -> None:
    run_state_machine_as_test(Machine, settings=CI)


@pytest.mark.usefixtures("patch")
def test_random_stories_break_nothing() -> None:
    assert search(range(120)) is None


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: f"rule {m.rule}: {m.omission}")
def test_a_rule_left_out_is_found(mutant: Mutant, patch: pytest.MonkeyPatch) -> None:
    mutant.apply(patch)
    assert search(range(SEEDS), opening=mutant.opening) is not None


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: f"rule {m.rule}: {m.omission}")
@pytest.mark.usefixtures("patch")
def test_with_all_rules_the_same_stories_hold(mutant: Mutant) -> None:
    if mutant.opening != DURING_A_LISTING:
        assert search(range(5), opening=mutant.opening) is None


@pytest.mark.usefixtures("patch")
def test_a_listing_begun_before_an_opening_took_effect_does_not_tell_its_outcome() -> None:
    assert search(range(5), opening=DURING_A_LISTING) is None
