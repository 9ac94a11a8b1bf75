"""Delta tables in files: a folder of this computer or of a volume (`file:///…`), or S3 (`s3://bucket/prefix`).

Plain Parquet cannot merge (dlt would append, in silence), so every table is a Delta table, which other engines read
too. Keys of S3 come from where AWS' own tools take them: environment, shared file, or the pod's identity.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from makini_operator.sync.destinations import files_purge
from makini_operator.sync.destinations.base import Doomed, Known, Loading, State, checked_dataset, is_data
from makini_operator.sync.destinations.bucketlock import BucketLock
from makini_operator.sync.destinations.filelock import FileLock
from makini_operator.sync.destinations.objects import Bucket, Folder, Objects
from makini_operator.sync.destinations.s3 import S3
from makini_operator.sync.errors import BadSettings, DestinationFailed, SyncError
from makini_operator.sync.redact import clean
from makini_operator.sync.rows import DIGEST, GONE_AT, KEY, RUN

_IN_QUERY = 20_000  # keys that one query looks for
_COMPACT_EVERY = 20  # versions of a table since the last time
_COLOURS = re.compile("\x1b\\[[0-9;]*m")
_IN_XML = {name: re.compile(f"<{name}>([^<]*)</{name}>") for name in ("Code", "Message")}  # of an answer of S3
_EXPECTED = "--files-url: expected file:///folder or s3://bucket/prefix"


class Files:
    """A folder of Delta tables."""

    def __init__(self, url: str, dataset: str) -> None:
        self.dataset = checked_dataset(dataset)
        parts = urlsplit(url)
        self._url = url.rstrip("/")
        self._s3: S3 | None = None
        self._lock: FileLock | BucketLock
        if parts.scheme == "file" and not parts.netloc and parts.path.startswith("/"):
            root = Path(unquote(parts.path))
            self._objects: Objects = Folder(root)
            self._lock = FileLock(root / f"{dataset}.lock", dataset)
        elif parts.scheme == "s3" and parts.netloc and not (parts.query or parts.fragment or "@" in parts.netloc):
            self._s3 = S3()
            prefix = parts.path.strip("/")
            bucket = Bucket(client=self._s3.client, bucket=parts.netloc, prefix=f"{prefix}/" if prefix else "")
            self._objects, self._lock = bucket, BucketLock(bucket, f"{dataset}.lock", dataset)
        else:
            raise BadSettings(_EXPECTED)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The secret keys and session tokens."""
        return self._s3.secrets if self._s3 else ()

    def lock(self) -> AbstractContextManager[None]:
        """Take the dataset's lock, a file or an object beside its folder."""
        return self._lock.held()

    def check_lock(self) -> None:
        """Raise LockLost unless the lock is still held."""
        self._lock.check()

    def read_state(self) -> dict[str, State]:
        """Return the state by entity, from one small file for each; raises BadSettings where nothing may be loaded."""
        files_purge.check_usable(self._objects, self.dataset)
        folder = f"{self.dataset}.state/"
        found = {name: self._objects.get(name) for name in self._objects.names(folder) if name.endswith(".json")}
        states = (json.loads(content[0]) for content in found.values() if content)
        return {state.pop("entity"): state for state in states}

    def write_state(self, entity: str, state: State) -> None:
        """Replace one entity's state."""
        self.check_lock()
        name = entity.replace("/", "+")
        content = json.dumps({"entity": entity, **state})
        self._objects.put(f"{self.dataset}.state/{name}.json", content.encode())

    def known(self, table: str, *, keys: Iterable[list[str]] | None = None, by: str = KEY) -> Iterator[Known]:
        """Return key, digest and mark of rows."""
        query = f'SELECT "{KEY}", "{DIGEST}", "{GONE_AT}" IS NOT NULL FROM t'
        if keys is None:
            yield from self._query(table, query)
            return
        # A Delta table has no index, every query passes over its rows: few queries with many keys.
        for many in _joined(keys):
            yield from self._query(table, f'{query} WHERE "{by}" IN ({", ".join(map(_literal, many))})')

    def arrived(self, table: str, run: str) -> int:
        """Return how many rows came with a run."""
        found = self._query(table, f'SELECT count(*) FROM t WHERE "{RUN}" = {_literal(run)}')
        return int(next(found, (0,))[0])

    def mark_gone(self, table: str, keys: Iterable[list[str]], *, by: str = KEY, at: datetime) -> int:
        """Mark rows that are not marked yet: one new version of the table for many keys."""
        import pyarrow as pa  # noqa: PLC0415

        found = self._table(table)
        marked = 0
        for batch in _joined(keys) if found is not None else ():
            source = pa.table({"key": pa.array(batch, pa.string())})
            predicate = f't."{by}" = s.key AND t."{GONE_AT}" IS NULL'
            literal = f"CAST('{at.isoformat()}' AS TIMESTAMP)"
            merge = found.merge(source, predicate, source_alias="s", target_alias="t")
            with self._as_failed():
                marked += merge.when_matched_update({GONE_AT: literal}).execute()["num_target_rows_updated"]
        return int(marked)

    def tidy(self, tables: Mapping[str, list[str]]) -> None:
        """Make few large files of many small ones; old versions stay for a week, so that readers are not cut off."""
        for name in tables:
            table = self._table(name)
            if table is None or table.version() < _COMPACT_EVERY - 1:
                continue
            with self._as_failed():
                # A run makes one version or several, so that no version can be waited for: the log is asked.
                recent = {entry["operation"].partition(" ")[0] for entry in table.history(_COMPACT_EVERY)}
                if not recent & {"OPTIMIZE", "VACUUM"}:
                    table.optimize.compact()
                    table.vacuum(retention_hours=7 * 24, enforce_retention_duration=True, dry_run=False)

    def loading(self) -> Loading:
        """Loaded as Delta tables, whose merge is dlt's `upsert`."""
        import dlt  # noqa: PLC0415 - slow to import

        settings: dict[str, Any] = {"bucket_url": self._url}
        if self._s3:
            settings |= {"credentials": self._s3.for_dlt(), "deltalake_storage_options": self._s3.options}
        return Loading(
            destination=dlt.destinations.filesystem(**settings),
            file_format="parquet",
            table_format="delta",
            strategy="upsert",
        )

    def rows(self) -> Mapping[str, int]:
        """Return the tables with their number of rows."""
        files_purge.check_whole(self._objects, self.dataset)
        start = f"{self.dataset}/"
        names = {name[len(start) :].split("/")[0] for name in self._objects.names(start) if "/_delta_log/" in name}
        tables = {name: self._table(name) for name in sorted(names) if is_data(name)}
        counted = {
            name: next(self._query(name, "SELECT count(*) FROM t"), (0,)) for name, table in tables.items() if table
        }
        return {name: int(count) for name, (count,) in counted.items()}

    def is_there(self) -> bool:
        """Say whether there is such a dataset, from its state: every run begins with writing who owns it."""
        return files_purge.is_there(self._objects, self.dataset)

    def doomed(self) -> Doomed:
        """Return what a purge would delete."""
        return files_purge.doomed(self._objects, self.dataset, self.rows)

    def purge(self) -> None:
        """Delete the dataset's folders, and dlt's copies of its tables in the one that it stages in."""
        files_purge.purge(self._objects, self.dataset)

    def _table(self, name: str) -> Any:
        from deltalake import DeltaTable  # noqa: PLC0415

        url, options = f"{self._url}/{self.dataset}/{name}", self._s3.options if self._s3 else None
        with self._as_failed():
            return DeltaTable(url, storage_options=options) if DeltaTable.is_deltatable(url, options) else None

    @contextmanager
    def _as_failed(self) -> Iterator[None]:
        """Turn what the Delta library raises, which is of many kinds, into the one error that a run knows."""
        try:
            yield
        except (SyncError, GeneratorExit):
            raise
        except Exception as error:
            text = clean(f"{type(error).__name__}: {_cause_first(error)}", self.secrets)
            raise DestinationFailed(f"Delta: {text}") from error

    def _query(self, table: str, query: str) -> Iterator[Any]:
        """Ask the engine of the Delta library; `t` is the table."""
        from deltalake import QueryBuilder  # noqa: PLC0415

        found = self._table(table)
        if found is None:
            return
        with self._as_failed():
            for chunk in QueryBuilder().register("t", found).execute(query):
                columns = (chunk.column(i).to_pylist() for i in range(chunk.num_columns))
                yield from zip(*columns, strict=True)


def _joined(batches: Iterable[list[str]]) -> Iterator[list[str]]:
    many: list[str] = []
    for batch in batches:
        many += batch
        if len(many) >= _IN_QUERY:
            yield many
            many = []
    if many:
        yield many


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _cause_first(error: Exception) -> str:
    """Return the text of an error of the Delta library, which ends with its cause, so that it survives a cut."""
    outer, *inner = (part.strip() for part in _COLOURS.sub("", str(error)).split("\u21b3"))
    code, told = _IN_XML["Code"].search(str(error)), _IN_XML["Message"].search(str(error))
    if code and inner:
        inner[-1] = f"{code[1]}: {told[1]}" if told else code[1]
    return ": ".join(filter(None, [outer, *reversed(inner)]))
