"""Writes what `docker save` would: a tar of layers and settings that every container runtime can load."""

import hashlib
import io
import json
import platform
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

from tests.images import tree

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_EPOCH = "1970-01-01T00:00:00Z"


@dataclass(frozen=True)
class Image:
    """One image: what it is called, its layers from the bottom up, and how it starts."""

    name: str
    layers: tuple[Path, ...]
    entrypoint: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    user: str = "65532:65532"

    def settings(self) -> bytes:
        """The image's configuration, in the words of the OCI image specification."""
        machine = platform.machine()
        content = {
            "architecture": _ARCHITECTURES.get(machine, machine),
            "os": "linux",
            "created": _EPOCH,
            "config": {
                "Entrypoint": list(self.entrypoint),
                "Env": [f"{name}={value}" for name, value in self.environment.items()],
                "User": self.user,
                "WorkingDir": "/",
            },
            "rootfs": {"type": "layers", "diff_ids": [tree.digest(layer) for layer in self.layers]},
            "history": [{"created": _EPOCH, "created_by": "tests.images"} for _ in self.layers],
        }
        return json.dumps(content).encode()


def write(images: list[Image], target: Path) -> None:
    """Writes an archive with all images; layers that they share are in it once."""
    layers = {layer: f"{tree.digest(layer).partition(':')[2]}.tar" for image in images for layer in image.layers}
    with tarfile.open(target, "w") as archive:
        manifest = []
        for image in images:
            settings = image.settings()
            name = f"{hashlib.sha256(settings).hexdigest()}.json"
            _add(archive, name, settings)
            manifest.append(
                {"Config": name, "RepoTags": [image.name], "Layers": [layers[layer] for layer in image.layers]}
            )
        for layer, name in layers.items():
            archive.add(layer, name)
        _add(archive, "manifest.json", json.dumps(manifest).encode())


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def layers_of(archive: tarfile.TarFile) -> list[str]:
    """The members of an archive that are the layers of its first image, from the bottom up."""
    manifest = archive.extractfile("manifest.json")
    if manifest is None:
        raise ValueError(f"{archive.name} has no manifest.json: expected what `docker save` writes")
    layers = json.load(manifest)[0]["Layers"]
    return [str(name) for name in layers]
