"""The sync program as users run it: a process of its own, with secrets in files."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.sync.fakemakini import TOKEN

ORDERS = "erp/purchase-orders"
COMMAND = [sys.executable, "-m", "makini_operator"]


@dataclass
class Outcome:
    """How a run ended."""

    code: int
    result: dict[str, Any]
    log: str

    def entity(self, name: str = ORDERS) -> dict[str, Any]:
        return next(entity for entity in self.result["entities"] if entity["entity"] == name)


@dataclass
class Program:
    """One way to call it. `folder` holds the token, and whatever else has to be somewhere."""

    folder: Path
    url: str
    destination: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    dataset: str = "acme"

    def __post_init__(self) -> None:
        self.token_file.write_text(TOKEN)
        (self.folder / "work").mkdir(exist_ok=True)

    @property
    def token_file(self) -> Path:
        return self.folder / "token"

    def command(self, *options: str, entities: tuple[str, ...] = (ORDERS,), connection: str = "conn-1") -> list[str]:
        return [
            *COMMAND, "sync",
            *(part for entity in entities for part in ("--entity", entity)),
            "--url", self.url, "--token-file", str(self.token_file), "--connection-id", connection,
            "--owner", "shop/acme", "--window", "all", "--retry-wait", "0.01", "--page-size", "10",
            "--work-dir", str(self.folder / "work"), "--dataset", self.dataset, *self.destination, *options,
        ]  # fmt: skip

    @property
    def full_environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "HOME") if name in os.environ}
        root = Path(__file__).parents[2]
        return kept | {"PYTHONPATH": f"{root / 'operator'}", "TMPDIR": str(self.folder / "work"), **self.environment}

    def start(self, *options: str, **how: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*options, **how), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=self.full_environment, cwd=self.folder,
        )  # fmt: skip

    def run(self, *options: str, **how: Any) -> Outcome:
        process = self.start(*options, **how)
        out, log = process.communicate(timeout=300)
        return Outcome(process.returncode, json.loads(out.splitlines()[-1]) if out.strip() else {}, log)

    def history(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*COMMAND, "history", *arguments, "--dataset", self.dataset, *self.destination]
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            env=self.full_environment,
            cwd=self.folder,
            check=False,
            timeout=120,
        )
