"""Loading with dlt: the spool's rows, merged on their key. Imports dlt, which is slow, only when it is called.

What dlt would choose by itself is set here one by one: the file format; the merge strategy that the destination has (on
plain files a "merge" appends, so only Delta tables are used); a fresh work folder, for with an old one dlt only
finishes what was pending; the rows as flat Arrow tables, so that nothing is inferred from values, and a column never
splits in two because its second value looks different from the first.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from makini_operator.sync.destinations.base import Destination, Loading
from makini_operator.sync.entities import Entity
from makini_operator.sync.errors import DestinationFailed
from makini_operator.sync.redact import clean
from makini_operator.sync.rows import CONNECTION, DIGEST, GONE_AT, KEY, PARENT, RUN, SYNCED_AT, Row
from makini_operator.sync.spool import Spool

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger(__name__)

_ENVIRONMENT = {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__LOG_LEVEL": "ERROR",
    "LOAD__TRUNCATE_STAGING_DATASET": "true",
    "NORMALIZE__WORKERS": "1",
    "LOAD__WORKERS": "2",
    "DATA_WRITER__BUFFER_MAX_ITEMS": "2000",
    "DATA_WRITER__FILE_MAX_ITEMS": "10000",
    "NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION": "true",  # written and read once, on the same disk
}


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """What every row of a load carries."""

    run: str
    at: datetime
    connection: str


def load(spool: Spool, entity: Entity, *, destination: Destination, stamp: Stamp, scratch: Path) -> None:
    """Merge the spool's new rows into the destination's tables; whole, or not at all for each table.

    Raises:
        DestinationFailed: dlt could not load.
    """
    failed: list[BaseException] = []

    def work() -> None:
        try:
            _load(spool, entity, destination=destination, stamp=stamp, scratch=scratch)
        except Exception as error:  # noqa: BLE001 - carried over to the caller's thread
            failed.append(error)

    # In a thread of its own, for in the main one dlt would put off the signal to end until it is done loading.
    thread = threading.Thread(target=work, name="load", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.2)
    if failed:
        raise DestinationFailed(f"loading failed: {_plain(failed[0], destination)}") from failed[0]


def _load(spool: Spool, entity: Entity, *, destination: Destination, stamp: Stamp, scratch: Path) -> None:
    os.environ.update(_ENVIRONMENT | {"DLT_DATA_DIR": str(scratch), "DLT_PROJECT_DIR": str(scratch)})
    import dlt  # noqa: PLC0415 - slow to import, and configured by the environment

    how = destination.loading()
    resources = [
        _resource(dlt, spool, table, how=how, stamp=stamp, is_child=i > 0) for i, table in enumerate(entity.tables)
    ]
    source = dlt.source(lambda: resources, name="makini")
    # A folder for this load alone: what failed for one entity would be pending for the next, and fail that, too.
    with TemporaryDirectory(prefix="load-", dir=scratch, ignore_cleanup_errors=True) as folder:
        pipeline = dlt.pipeline(
            pipeline_name="makini",
            pipelines_dir=folder,
            destination=how.destination,
            dataset_name=destination.dataset,
        )
        info = pipeline.run(source(), loader_file_format=how.file_format)
        info.raise_on_failed_jobs()


def _resource(dlt: Any, spool: Spool, table: str, *, how: Loading, stamp: Stamp, is_child: bool) -> Any:
    def rows() -> Iterator[pa.Table]:
        # An INSERT costs by the column, also for those that are empty throughout: `tidy` adds them to the table. To
        # Parquet they cost nothing.
        columns = spool.used_columns(table) if how.file_format == "insert_values" else spool.columns(table)
        yield _arrow([], columns, stamp=stamp, is_child=is_child)  # the table exists also while it has no rows
        for batch in spool.rows(table):
            yield _arrow(batch, columns, stamp=stamp, is_child=is_child)

    return dlt.resource(
        rows,
        name=table,
        primary_key=KEY,
        write_disposition={"disposition": "merge", "strategy": how.strategy, "deduplicated": True}
        if how.strategy == "delete-insert"
        else {"disposition": "merge", "strategy": how.strategy},
        table_format=how.table_format,
    )


def _arrow(rows: list[Row], columns: list[str], *, stamp: Stamp, is_child: bool) -> pa.Table:
    import pyarrow as pa  # noqa: PLC0415

    count = len(rows)
    texts = [*columns, KEY, DIGEST, *([PARENT] if is_child else [])]
    arrays = {name: pa.array([row.get(name) for row in rows], pa.string()) for name in texts}
    moment = pa.timestamp("us", tz="UTC")
    arrays |= {RUN: _same(pa, stamp.run, count), CONNECTION: _same(pa, stamp.connection, count)}
    arrays |= {SYNCED_AT: pa.array([stamp.at] * count, moment), GONE_AT: pa.array([None] * count, moment)}
    return pa.table(arrays)


def _same(pa: Any, text: str, count: int) -> pa.Array:
    return pa.array([text] * count, pa.string())


def _plain(error: BaseException, destination: Destination) -> str:
    inner: BaseException = error
    while (inner.__cause__ or inner.__context__) is not None:
        inner = inner.__cause__ or inner.__context__  # type: ignore[assignment]
    text = f"{type(error).__name__}: {error}" if inner is error else f"{type(inner).__name__}: {inner}"
    return clean(text, destination.secrets)
