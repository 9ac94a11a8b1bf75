"""The helm of the tests: version 4, built from its Go module once and cached beside the control plane."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import yaml
from tests.harness.rig import OPERATOR_NAMESPACE, ROOT
from tests.localkube.build import Program

CHART = ROOT / "charts/makini-operator"
RELEASE = "makini-operator"
Manifest = dict[str, Any]
Values = dict[str, Any]
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # reads the definitions in a tenth of the time


def program() -> Program:
    """helm, as `Program.ensure` builds it."""
    return Program("helm", "helm v4.3.1", Path(__file__).parent, ".", minutes=4, packages=1100)


class Helm:
    """The helm command in the operator's namespace, with folders of its own."""

    def __init__(self, binary: Path, home: Path, kubeconfig: Path | None = None) -> None:
        self.binary = binary
        self._home, self._kubeconfig = home, kubeconfig

    def on(self, kubeconfig: Path) -> "Helm":
        return Helm(self.binary, self._home, kubeconfig)

    def environment(self) -> dict[str, str]:
        """What leads helm and kubectl to this cluster and no other, and helm to its own folders."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("HELM_", "KUBE"))}
        folders = {f"HELM_{name}_HOME": str(self._home / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
        return inherited | folders | {"KUBECONFIG": str(self._kubeconfig or os.devnull)}

    def run(self, *arguments: str, values: Values | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.binary, *arguments, "--namespace", OPERATOR_NAMESPACE, *(["-f", "-"] if values else [])],
            input=json.dumps(values) if values else None,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )

    def __call__(self, *arguments: str, values: Values | None = None) -> str:
        done = self.run(*arguments, values=values)
        assert done.returncode == 0, f"helm {' '.join(arguments)}: {done.stderr}\n{done.stdout[-3000:]}"
        return done.stdout

    def render(self, values: Values | None = None) -> list[Manifest]:
        text = self("template", RELEASE, str(CHART), values=values)
        return [document for document in yaml.load_all(text, Loader=_LOADER) if document]
