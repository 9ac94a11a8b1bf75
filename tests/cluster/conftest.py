"""What every test against the real API server gets: a control plane, a namespace, a way to wait.

The control plane is started once per run. That it cannot be built is a failure, never a
quiet skip: a green run without it would show nothing. MAKINI_SKIP_CLUSTER=1 skips these
tests for somebody who works on something else, and says so.
"""

import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import pytest
from tests.localkube import LocalKube, LocalKubeError

HERE = Path(__file__).parent
SKIP = "MAKINI_SKIP_CLUSTER"
_POLL_SECONDS = 0.05


T = TypeVar("T")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.cluster)
        if item.get_closest_marker("cluster") and os.environ.get(SKIP) == "1":
            item.add_marker(pytest.mark.skip(reason=f"{SKIP}=1: nothing was tested against Kubernetes"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if os.environ.get(SKIP) == "1":
        terminalreporter.section("CLUSTER TESTS SKIPPED", red=True, bold=True)
        terminalreporter.line(f"{SKIP}=1 is set: this run says nothing about behaviour on Kubernetes.")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKube]:
    """One real control plane for the whole run."""
    directory = tmp_path_factory.mktemp("localkube")
    with ExitStack() as stack:
        try:
            running = stack.enter_context(LocalKube.start(directory))
        except LocalKubeError as error:
            pytest.fail(f"no control plane to test against: {error}", pytrace=False)
        yield running


@pytest.fixture
def namespace(cluster: LocalKube) -> Iterator[str]:
    """A namespace of the test's own; its deletion is asked for at the end and not waited for."""
    name = f"test-{uuid.uuid4().hex[:10]}"
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")


def wait_until(
    predicate: Callable[[], T], timeout: float = 30, describe: str | Callable[[], object] = "the condition"
) -> T:
    """The predicate's first true answer, or a failure that shows what was seen instead.

    Args:
        predicate: asked again and again; an AssertionError or LocalKubeError in it counts as "not yet".
        timeout: seconds.
        describe: what is waited for; or a function whose result is shown on failure (the object, a log's end).
    """
    deadline = time.monotonic() + timeout
    while True:
        seen: object
        try:
            if answer := predicate():
                return answer
            seen = answer
        except (AssertionError, LocalKubeError) as error:
            seen = error
        if time.monotonic() > deadline:
            shown = describe if isinstance(describe, str) else describe()
            pytest.fail(f"not within {timeout:g} s: {shown}\nlast seen: {seen!r}")
        time.sleep(_POLL_SECONDS)


@pytest.fixture(name="wait_until")
def wait_until_fixture() -> Callable[..., object]:
    """`wait_until`, for tests: they need not know where it lives."""
    return wait_until
