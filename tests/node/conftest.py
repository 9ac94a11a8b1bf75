"""What every test on a real node gets: the node, a namespace, and the images in it.

The node is started once per run. A machine that cannot run one skips these tests and says
so at the end in red; that a node cannot be *built* or does not start is a failure. With
MAKINI_NODE_KUBECONFIG the tests run on a cluster that is there already, such as kind's.
"""

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests import images, skipping
from tests.localkube import LocalKubeError
from tests.localkube.waiting import wait_until
from tests.localnode import CannotRunError, LocalNode
from tests.node.existing import EXISTING, ExistingCluster
from tests.tools import helm as helm_module
from tests.tools.helm import Helm

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ours = [item for item in items if item.path.is_relative_to(HERE)]
    reason = skipping.without_node() if ours else None
    for item in ours:
        item.add_marker(pytest.mark.node)
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNode | ExistingCluster]:
    """One real node for the whole run, with the operator's and the sandbox's image."""
    if existing := os.environ.get(EXISTING):
        yield ExistingCluster(Path(existing))
        return
    with ExitStack() as stack:
        try:
            running = stack.enter_context(LocalNode.start(tmp_path_factory.mktemp("node")))
            running.load_image(images.operator())
        except CannotRunError as error:
            pytest.skip(str(error))
        except LocalKubeError as error:
            pytest.fail(f"no node to test on: {error}", pytrace=False)
        yield running


@pytest.fixture(scope="session")
def sync_image(node: LocalNode | ExistingCluster) -> str:
    """The image of sync pods, in the node: for tests that need it, because it is large."""
    if isinstance(node, LocalNode):
        node.load_image(images.sync())
    return images.SYNC


@pytest.fixture(scope="session")
def helm(node: LocalNode | ExistingCluster, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """The real helm, on the node."""
    try:
        binary = helm_module.program().ensure()
    except LocalKubeError as error:
        pytest.fail(f"no helm to test with: {error}", pytrace=False)
    return Helm(binary, tmp_path_factory.mktemp("helm"), node.kubeconfig)


@pytest.fixture
def namespace(node: LocalNode | ExistingCluster) -> Iterator[str]:
    """A namespace of the test's own, in which pods can run; its deletion is asked for and not waited for."""
    name = f"test-{uuid.uuid4().hex[:10]}"
    node.kubectl("create", "namespace", name)
    wait_until(lambda: node.kubectl("get", "serviceaccount", "default", "-n", name), 20, "its service account")
    yield name
    node.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")


@pytest.fixture(name="wait_until")
def wait_until_fixture() -> Callable[..., object]:
    """`wait_until`, for tests: they need not know where it lives."""
    return wait_until
