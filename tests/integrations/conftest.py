"""A control plane and a namespace for the integrations, which run with MAKINI_INTEGRATIONS=1 only."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.localkube import LocalKube

collect_ignore_glob = [] if os.environ.get("MAKINI_INTEGRATIONS") == "1" else ["test_*.py"]


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKube]:
    """One real control plane for the whole run."""
    with LocalKube.start(tmp_path_factory.mktemp("localkube")) as running:
        yield running


@pytest.fixture
def namespace(cluster: LocalKube, tmp_path: Path) -> Iterator[str]:
    """A namespace of the test's own."""
    name = f"test-{tmp_path.name[-40:].strip('_').replace('_', '-')}"
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")
