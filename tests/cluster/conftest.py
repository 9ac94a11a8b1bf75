"""What every test against the real API server gets: a control plane, a namespace, a way to wait.

The control plane is started once per run, or once for each worker. That it cannot be built is a failure, never a
quiet skip: a green run without it would show nothing. MAKINI_SKIP_CLUSTER=1 skips these
tests for somebody who works on something else, and says so.
"""

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests import skipping
from tests.localkube import LocalKube, LocalKubeError, objects
from tests.localkube.waiting import wait_until

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.cluster)
        if item.get_closest_marker("cluster") and skipping.is_without_cluster():
            item.add_marker(pytest.mark.skip(reason=f"{skipping.CLUSTER}=1: nothing was tested against Kubernetes"))


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKube]:
    """One real control plane for the whole run, or this worker's part of it."""
    directory = tmp_path_factory.mktemp("localkube")
    with ExitStack() as stack:
        try:
            running = stack.enter_context(LocalKube.start(directory))
        except LocalKubeError as error:
            pytest.fail(f"no control plane to test against: {error}", pytrace=False)
        yield running


@pytest.fixture(scope="module", autouse=True)
def nothing_is_left(cluster: LocalKube) -> Iterator[None]:
    """Each file takes its pools and connections away again: the operators of later tests would work on them."""
    yield
    wait_until(lambda: _ours(cluster) == [], 30, lambda: f"left behind: {_ours(cluster)}")


def _ours(cluster: LocalKube) -> list[str]:
    found = []
    for kind in ("creditpools", "makiniconnections"):
        status, text = cluster.request("GET", f"/apis/makini.io/v1beta1/{kind}")
        assert status in (200, 404), text
        items = json.loads(text)["items"] if status == 200 else []
        found += [f"{kind}/{o['metadata'].get('namespace', '')}/{o['metadata']['name']}" for o in items]
    return found


@pytest.fixture
def namespace(cluster: LocalKube) -> Iterator[str]:
    """A namespace of the test's own; its deletion is asked for at the end and not waited for."""
    name = f"test-{uuid.uuid4().hex[:10]}"
    objects.create_namespace(cluster, name)
    yield name
    objects.delete(cluster, "ns", name)


@pytest.fixture(name="wait_until")
def wait_until_fixture() -> Callable[..., object]:
    """`wait_until`, for tests: they need not know where it lives."""
    return wait_until
