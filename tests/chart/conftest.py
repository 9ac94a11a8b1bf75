"""What tests of the chart get: the real helm, and an API server of their own to install on.

That helm cannot be built is a failure with the reason, never a skip: nothing else shows that the chart works.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from tests import skipping
from tests.harness.rig import OPERATOR_NAMESPACE
from tests.localkube import LocalKube, LocalKubeError
from tests.tools import helm as helm_module
from tests.tools.helm import Helm

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE) and {"kube", "fresh_kube"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.cluster)
            if skipping.is_without_cluster():
                item.add_marker(pytest.mark.skip(reason=f"{skipping.CLUSTER}=1: nothing was tested against Kubernetes"))


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    try:
        binary = helm_module.program().ensure()
    except LocalKubeError as error:
        pytest.fail(f"no helm to test with: {error}", pytrace=False)
    return Helm(binary, tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="session")
def kube(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKube]:
    """A control plane for whoever leaves nothing behind."""
    with _started(tmp_path_factory.mktemp("chart")) as running:
        running.kubectl("create", "namespace", OPERATOR_NAMESPACE)
        yield running


@pytest.fixture
def fresh_kube(tmp_path: Path) -> Iterator[LocalKube]:
    """A control plane of the test's own, with nothing in it but the operator's namespace."""
    with _started(tmp_path / "kube") as running:
        running.kubectl("create", "namespace", OPERATOR_NAMESPACE)
        yield running


@contextmanager
def _started(directory: Path) -> Iterator[LocalKube]:
    with ExitStack() as stack:
        try:
            running = stack.enter_context(LocalKube.start(directory))
        except LocalKubeError as error:
            pytest.fail(f"no control plane to test against: {error}", pytrace=False)
        yield running
