"""Small files beside the tables, in a folder or in a bucket: the dataset's state, and on S3 its lock."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from makini_operator.sync.errors import DestinationFailed

_MISSING = {"404", "NoSuchKey"}
_CONFLICT = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}


class Objects(Protocol):
    """Named contents below one place."""

    def get(self, name: str) -> tuple[bytes, str] | None:
        """Return the contents and a tag of their version; None when there is none of that name."""

    def put(self, name: str, content: bytes) -> None:
        """Replace the contents at once and whole."""

    def names(self, prefix: str) -> list[str]:
        """Return the names that begin so, sorted."""

    def holds(self, folder: str) -> bool:
        """Say whether anything is in a folder, whose name ends with `/`."""

    def delete(self, name: str) -> None:
        """Delete one; nothing if there is none of that name."""

    def delete_empty(self, folder: str) -> None:
        """Delete a folder that has nothing in it; nothing if there is none."""

    def delete_all(self, folder: str) -> None:
        """Delete everything in a folder, and the folder; nothing if there is none. Its name ends with `/`."""


class Folder:
    """Files below a folder of this computer."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def get(self, name: str) -> tuple[bytes, str] | None:
        """Read a file."""
        with _as_failed(self.root), suppress(FileNotFoundError):
            return (self.root / name).read_bytes(), ""
        return None

    def put(self, name: str, content: bytes) -> None:
        """Write beside it, then rename: a reader, or a crash, meets the old or the new."""
        path = self.root / name
        new = path.with_name(f".{path.name}.new")
        with _as_failed(self.root):
            path.parent.mkdir(parents=True, exist_ok=True)
            with new.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)

    def names(self, prefix: str) -> list[str]:
        """List the files, also behind a folder that is a link; what else is in the root is not looked at."""
        with _as_failed(self.root):
            start = self.root / prefix.rpartition("/")[0]
            found = [Path(folder, file) for folder, _, files in os.walk(start, onerror=_raise) for file in files]
        names = (path.relative_to(self.root).as_posix() for path in found)
        return sorted(name for name in names if name.startswith(prefix))

    def holds(self, folder: str) -> bool:
        """Say whether anything is in a folder, be it an empty folder."""
        with _as_failed(self.root):
            path = self.root / folder
            return path.is_dir() and any(path.iterdir())

    def delete(self, name: str) -> None:
        """Delete a file."""
        with _as_failed(self.root):
            (self.root / name).unlink(missing_ok=True)

    def delete_empty(self, folder: str) -> None:
        """Delete an empty folder; raises DestinationFailed when it is not empty any more."""
        with _as_failed(self.root), suppress(FileNotFoundError):
            (self.root / folder.rstrip("/")).rmdir()

    def delete_all(self, folder: str) -> None:
        """Delete a folder; what is a link to one is emptied, and the link deleted."""
        path = self.root / folder.rstrip("/")
        with _as_failed(self.root), suppress(FileNotFoundError):
            if path.is_symlink():
                for inner in path.iterdir():
                    shutil.rmtree(inner) if inner.is_dir() and not inner.is_symlink() else inner.unlink()
                path.unlink()
            else:
                shutil.rmtree(path)


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """Objects of an S3 bucket below a prefix, with a client of botocore."""

    client: Any
    bucket: str
    prefix: str

    def get(self, name: str) -> tuple[bytes, str] | None:
        """Read an object."""
        try:
            found = self.client.get_object(Bucket=self.bucket, Key=self.prefix + name)
            return found["Body"].read(), found["ETag"]
        except Exception as error:
            if _code(error) in _MISSING:
                return None
            raise failed(error) from None

    def put(self, name: str, content: bytes) -> None:
        """Write an object."""
        try:
            self.client.put_object(Bucket=self.bucket, Key=self.prefix + name, Body=content)
        except Exception as error:
            raise failed(error) from None

    def put_if(self, name: str, content: bytes, *, tag: str | None) -> str | None:
        """Write an object only if its version is `tag` (None: only if there is none); return the new tag, else None."""
        condition = {"IfNoneMatch": "*"} if tag is None else {"IfMatch": tag}
        try:
            made = self.client.put_object(Bucket=self.bucket, Key=self.prefix + name, Body=content, **condition)
            return str(made["ETag"])
        except Exception as error:
            if _code(error) in _CONFLICT | _MISSING:
                return None
            raise failed(error) from None

    def names(self, prefix: str) -> list[str]:
        """List the objects."""
        try:
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self.prefix + prefix
            )
            return sorted(item["Key"][len(self.prefix) :] for page in pages for item in page.get("Contents", []))
        except Exception as error:
            raise failed(error) from None

    def holds(self, folder: str) -> bool:
        """Say whether there is any object whose name begins so."""
        try:
            found = self.client.list_objects_v2(Bucket=self.bucket, Prefix=self.prefix + folder, MaxKeys=1)
        except Exception as error:
            raise failed(error) from None
        return bool(found.get("Contents"))

    def delete(self, name: str) -> None:
        """Delete an object."""
        try:
            self.client.delete_object(Bucket=self.bucket, Key=self.prefix + name)
        except Exception as error:
            raise failed(error) from None

    def delete_empty(self, folder: str) -> None:
        """Nothing: a bucket has no folders."""

    def delete_all(self, folder: str) -> None:
        """Delete the objects, one by one: not every S3 can delete many."""
        for name in self.names(folder):
            self.delete(name)


@contextmanager
def _as_failed(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DestinationFailed(f"the folder {root} cannot be read or written: {error}") from None


def _raise(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def failed(error: Exception) -> DestinationFailed:
    """Return the error for a bucket that does not do as asked; botocore's texts hold no secrets."""
    return DestinationFailed(f"S3: {type(error).__name__}: {str(error)[:300]}")


def _code(error: Exception) -> str:
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""
