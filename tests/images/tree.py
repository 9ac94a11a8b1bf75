"""The contents of an image as data: a path in it, and what stands there.

Why: the same list becomes a layer of an archive where there is no container engine, and a
folder for the Dockerfile's last stage where there is one, so both hold the same.
"""

import hashlib
import io
import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath


@dataclass(frozen=True)
class File:
    """A file with its content, or the path on this machine to take it from."""

    content: Path | bytes
    mode: int = 0o644

    def read(self) -> bytes:
        return self.content if isinstance(self.content, bytes) else self.content.read_bytes()


@dataclass(frozen=True)
class Link:
    """A symbolic link."""

    target: str


@dataclass(frozen=True)
class Folder:
    """An empty folder; those that files need are made anyway."""

    mode: int = 0o755


Tree = dict[PurePosixPath, File | Link | Folder]
"""Paths are relative to the image's root."""


def unpack(tree: Tree, target: Path) -> None:
    """Writes the tree into an absent or empty folder."""
    for path, entry in sorted(tree.items()):
        place = target / path
        place.parent.mkdir(parents=True, exist_ok=True)
        match entry:
            case Folder(mode):
                place.mkdir(exist_ok=True)
                place.chmod(mode)
            case Link(destination):
                place.symlink_to(destination)
            case File():
                place.write_bytes(entry.read())
                place.chmod(entry.mode)


def write_layer(tree: Tree, target: Path) -> None:
    """Writes the tree as a tar that is the same for the same contents, whoever writes it and when."""
    folders = {parent: Folder() for path in tree for parent in path.parents if parent.name}
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
        for path, entry in sorted((folders | tree).items()):
            member = tarfile.TarInfo(str(path))
            match entry:
                case Folder(mode):
                    member.type, member.mode = tarfile.DIRTYPE, mode
                    archive.addfile(member)
                case Link(destination):
                    member.type, member.linkname = tarfile.SYMTYPE, destination
                    archive.addfile(member)
                case File():
                    content = entry.read()
                    member.size, member.mode = len(content), entry.mode
                    archive.addfile(member, io.BytesIO(content))


def digest(path: Path) -> str:
    """A file's SHA-256, as images are referred to."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
