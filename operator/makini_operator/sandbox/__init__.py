"""The embedded Makini: a sandbox of the v3 API with sample data, for demos, tests and `environment: Sandbox`.

Stands alone: it knows nothing of Kubernetes, of the operator's controllers or of its client, so a test against it
tests the client against something it did not write. Start at `create_app`, or at `server.run` for a process of its
own.
"""

from makini_operator.sandbox.app import create_app
from makini_operator.sandbox.settings import SandboxSettings

__all__ = ["SandboxSettings", "create_app"]
