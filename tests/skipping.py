"""Why tests on Kubernetes or on a node are left out of a run, if they are."""

import os

from tests.localnode import requirements
from tests.node.existing import EXISTING

CLUSTER = "MAKINI_SKIP_CLUSTER"
NODE = "MAKINI_SKIP_NODE"


def is_without_cluster() -> bool:
    """Whether somebody who works on something else has left out everything that needs an API server."""
    return os.environ.get(CLUSTER) == "1"


def without_node() -> str | None:
    """Why nothing is tested on a node; None when it is."""
    if os.environ.get(NODE) == "1":
        return f"{NODE}=1 is set"
    return None if os.environ.get(EXISTING) else requirements.obstacle()
