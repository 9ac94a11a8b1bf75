"""What is gone at the source is marked, never deleted; and if most of it seems to be gone at once, it is doubted."""

from __future__ import annotations

import logging
from datetime import datetime

from makini_operator.sync.destinations.base import Destination
from makini_operator.sync.entities import Entity
from makini_operator.sync.errors import TooManyGone
from makini_operator.sync.rows import KEY, PARENT
from makini_operator.sync.spool import Spool

logger = logging.getLogger(__name__)

FEW = 10  # rows that are there; of fewer, no share says anything
_REMEDY = (
    "If they are gone indeed, accept it: by the annotation makini.io/accept-gone-requested-at of the connection, or in "
    "a run with --accept-gone"
)


class Marking:
    """Marks rows of one entity. `accepts`: however many they are."""

    def __init__(self, entity: Entity, spool: Spool, destination: Destination, *, accepts: bool, at: datetime) -> None:
        self._entity, self._spool, self._destination = entity, spool, destination
        self._accepts, self._at = accepts, at

    def doubt(self) -> TooManyGone | None:
        """Say why the records that the source did not show are not to be marked; None if they may.

        Raises:
            TooManyGone: and most of what it showed is unknown. Nothing of that may be loaded: records of two systems
                would stand side by side.
        """
        alive, missed = self._spool.alive(), self._spool.count_gone()
        if not self._is_doubtful(missed, alive):
            return None
        came, strangers = self._spool.count(), self._spool.count_strangers()
        if strangers * 2 > came:
            raise TooManyGone(
                f"{missed} of {alive} records of {self._entity.name} are missing at the source, and {strangers} of the "
                f"{came} that it shows were never there: it seems to be another system, so nothing was loaded. Give "
                "another system a connection of its own. " + _REMEDY
            )
        return TooManyGone(
            f"{missed} of {alive} records of {self._entity.name} are missing at the source, so none was marked as gone "
            "(changes were loaded): is it another system, or may the connection not see them any more? " + _REMEDY
        )

    def mark_records(self) -> tuple[int, int]:
        """Mark the records that the source did not show, with their lines; return how many of each."""
        lines = sum(
            self._destination.mark_gone(table, self._spool.gone(), by=PARENT, at=self._at)
            for table in self._entity.tables[1:]
        )
        # The record's own row last: after a crash in between it is still found, and all is marked again.
        return self._destination.mark_gone(self._entity.table, self._spool.gone(), by=KEY, at=self._at), lines

    def mark_lines(self) -> tuple[int, TooManyGone | None]:
        """Mark the lines that loaded records have no more; return how many, and why those of a table are not marked.

        The records' new versions, and their children's keys (`Spool.note_children`), are there already.
        """
        marked, doubt = 0, None
        for table in self._entity.tables[1:]:
            known = self._destination.known(table, keys=self._spool.parents(table), by=PARENT)
            there, lost = self._spool.note_lost(table, known)
            if self._is_doubtful(lost, there) and self._is_doubtful(lost, alive := self._alive(table)):
                doubt = TooManyGone(
                    f"{lost} of {alive} rows of {table} are no longer in their records, so none was marked as gone "
                    "(changes were loaded): may the connection not see them any more? " + _REMEDY
                )
            elif lost:
                marked += self._destination.mark_gone(table, self._spool.lost(), by=KEY, at=self._at)
        return marked, doubt

    def _is_doubtful(self, gone: int, alive: int) -> bool:
        return not self._accepts and alive >= FEW and gone * 2 > alive

    def _alive(self, table: str) -> int:
        return sum(not is_gone for _, _, is_gone in self._destination.known(table, by=KEY))
