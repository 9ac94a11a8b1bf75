"""What a run says of itself: one JSON line at its end, for the operator's status and for scripts. Never a secret."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

from makini_operator.sync.errors import SyncError
from makini_operator.sync.times import format_time

MAX_BYTES = 4096  # what Kubernetes keeps of a termination message
_MAX_MESSAGE = 400  # characters


@dataclass(kw_only=True)
class EntityResult:
    """How one entity went. Numbers of records; `seconds` of wall-clock time."""

    entity: str
    result: str = "NotStarted"  # Succeeded, Failed, NotStarted
    reason: str = ""
    message: str = ""
    read: int = 0
    loaded: int = 0
    gone: int = 0  # newly marked as gone
    compared: bool = False  # all keys of the source were seen, so what is gone is known
    cursor: str = ""
    pages: int = 0
    seconds: float = 0.0


@dataclass(kw_only=True)
class Report:
    """How a run went."""

    run: str
    dataset: str
    connection: str
    started: datetime
    entities: list[EntityResult] = field(default_factory=list)
    error: SyncError | None = None
    exit_code: int = 0
    finished: datetime | None = None

    def fail(self, error: SyncError) -> None:
        """Note the first failure: it names the run's reason and exit code."""
        if self.error is None:
            self.error, self.exit_code = error, error.exit_code

    def line(self) -> str:
        """Return the report as one line of JSON, at most 4,096 bytes: entities beyond that are only counted."""
        entities = [_brief(asdict(entity)) for entity in self.entities]
        left_out = 0
        while True:
            content = {
                "result": "Failed" if self.error else "Succeeded",
                "reason": self.error.reason if self.error else "",
                "message": str(self.error)[:_MAX_MESSAGE] if self.error else "",
                "run": self.run,
                "dataset": self.dataset,
                "connection": self.connection,
                "started": format_time(self.started),
                "finished": format_time(self.finished) if self.finished else "",
                "entities": entities,
            } | ({"entitiesLeftOut": left_out} if left_out else {})
            text = json.dumps(content)
            if len(text) <= MAX_BYTES or not entities:  # json.dumps writes ASCII only: characters are bytes
                return text
            # What failed is what somebody looks for: it stays longest.
            entities.remove(next((e for e in reversed(entities) if e["result"] == "Succeeded"), entities[-1]))
            left_out += 1


def write_result(path: Path, text: str) -> None:
    """Write the line into a file that may exist already and may not be replaceable, as a termination log."""
    with path.open("w", encoding="utf-8") as file:
        file.write(text + "\n")


def _brief(entity: dict[str, object]) -> dict[str, object]:
    return {
        name: str(value)[:_MAX_MESSAGE] if name == "message" else value for name, value in entity.items() if value != ""
    }
