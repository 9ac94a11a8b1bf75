"""The chart's sandbox, which is in the cluster, through a port of this computer."""

from pathlib import Path

from tests.harness.process import Process
from tests.harness.rig import OPERATOR_NAMESPACE
from tests.harness.sandbox import Sandbox


class ForwardedSandbox(Sandbox):
    """As `Sandbox`; `start` needs the Service, and whoever makes it sets the credentials of the chart's Secret."""

    def __init__(self, directory: Path, environment: dict[str, str], service: str) -> None:
        """`environment` leads kubectl to the cluster; `service` is in the operator's namespace."""
        super().__init__(directory)
        forward = ["kubectl", "port-forward", "-n", OPERATOR_NAMESPACE, f"service/{service}", f"{self.port}:80"]
        self.process = Process(forward, log=directory / "port-forward.log", environment=environment)
