"""Small files beside the tables, in a folder or in a bucket: the dataset's state, and on S3 its lock."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
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

    def delete_all(self, prefix: str) -> None:
        """Delete everything whose name begins so."""


class Folder:
    """Files below a folder of this computer."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def get(self, name: str) -> tuple[bytes, str] | None:
        """Read a file."""
        try:
            return (self.root / name).read_bytes(), ""
        except FileNotFoundError:
            return None

    def put(self, name: str, content: bytes) -> None:
        """Write beside it, then rename: a reader, or a crash, meets the old or the new."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f".{path.name}.new")
        with new.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)

    def names(self, prefix: str) -> list[str]:
        """List the files."""
        found = (path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file())
        return sorted(name for name in found if name.startswith(prefix))

    def delete_all(self, prefix: str) -> None:
        """Delete a folder."""
        with suppress(FileNotFoundError):
            shutil.rmtree(self.root / prefix)


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

    def delete_all(self, prefix: str) -> None:
        """Delete the objects, one by one: not every S3 can delete many."""
        try:
            for name in self.names(prefix):
                self.client.delete_object(Bucket=self.bucket, Key=self.prefix + name)
        except DestinationFailed:
            raise
        except Exception as error:
            raise failed(error) from None


def failed(error: Exception) -> DestinationFailed:
    """Return the error for a bucket that does not do as asked; botocore's texts hold no secrets."""
    return DestinationFailed(f"S3: {type(error).__name__}: {str(error)[:300]}")


def _code(error: Exception) -> str:
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""
