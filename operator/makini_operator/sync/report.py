"""What a run says of itself: one JSON line at its end, for the operator's status and for scripts. Never a secret."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

from makini_operator.sync.errors import SyncError
from makini_operator.sync.times import format_time

MAX_BYTES = 4096  # what Kubernetes keeps of a termination message
_MAX_MESSAGE = 400  # characters; when there is much to tell:
_SHORT_MESSAGE = 100


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
    gone_lines: int = 0  # rows of its lists, likewise; told only if there are any
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
        left_out, limit = 0, _MAX_MESSAGE
        kept = list(self.entities)
        while True:
            text = json.dumps(self._content(kept, left_out, limit))
            if len(text) <= MAX_BYTES:  # json.dumps writes ASCII only: characters are bytes
                return text
            if limit > _SHORT_MESSAGE:
                limit = _SHORT_MESSAGE
                continue
            # What failed is what somebody looks for: it stays longest.
            kept.remove(next((entity for entity in reversed(kept) if not entity.message), kept[-1]))
            left_out += 1

    def _content(self, entities: list[EntityResult], left_out: int, limit: int) -> dict[str, object]:
        content = {
            "result": "Failed" if self.error else "Succeeded",
            "reason": self.error.reason if self.error else "",
            "message": str(self.error)[:limit] if self.error else "",
            "run": self.run,
            "dataset": self.dataset[:_SHORT_MESSAGE],
            "connection": self.connection[:_SHORT_MESSAGE],
            "started": format_time(self.started),
            "finished": format_time(self.finished) if self.finished else "",
            "entities": [_brief(asdict(entity), limit) for entity in entities],
        }
        return content | ({"entitiesLeftOut": left_out} if left_out else {})


def write_result(path: Path, text: str) -> None:
    """Write the line into a file that may exist already and may not be replaceable, as a termination log."""
    with path.open("w", encoding="utf-8") as file:
        file.write(text + "\n")


def _brief(entity: dict[str, object], limit: int) -> dict[str, object]:
    """An entity's result without what is empty."""
    lines = entity.pop("gone_lines")
    told = {name: str(value)[:limit] if name == "message" else value for name, value in entity.items() if value != ""}
    return told | ({"goneLines": lines} if lines else {})
