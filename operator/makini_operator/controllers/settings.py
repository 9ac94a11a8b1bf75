"""How one operator process is to run."""

from __future__ import annotations

import os
import re
import socket
import uuid
from dataclasses import dataclass, field
from datetime import timedelta

from makini_operator.makini.budget import DEFAULT_PER_SECOND

PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_MAX_REFERENCE = 512  # characters: a name of 255, a tag of 128 and a digest
_REFERENCE = re.compile(
    r"(?:(?:(?:[A-Za-z0-9-]+\.)*[A-Za-z0-9-]+|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?/)?"  # registry
    r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*"  # repository
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?"  # tag
    r"(?:@sha256:[0-9a-f]{64}|@sha512:[0-9a-f]{128})?"  # digest
)


def image_reference(text: str) -> str:
    """Return `text` if the kubelet can take it for an image: `[registry/]repository[:tag][@digest]`.

    Raises:
        ValueError: it is not one; a pod with it would wait for ever. The grammar is that of the OCI distribution.
    """
    if len(text) > _MAX_REFERENCE or not _REFERENCE.fullmatch(text):
        raise ValueError(
            f"expected an image such as registry.example.com/makini-sync:1.0, of at most {_MAX_REFERENCE} characters, "
            f"in small letters but for the tag; found {text[:80]!r}"
        )
    return text


def own_identity(name: str | None = None) -> str:
    """Who holds the Lease: `name`, else the pod's (POD_NAME), else the host's, with a part for this process alone.

    A host may run two operators; a pod cannot, so a predecessor of its name is known to be dead (`kube.lease.Lease`).
    """
    once = uuid.uuid4().hex[:8]
    name = name or os.environ.get("POD_NAME")
    return f"{name}/{once}" if name else f"{socket.gethostname()}_{once}"


@dataclass(frozen=True)
class Settings:
    """How to run. `relist_every`: how often Makini accounts are listed; `resync_every`: how often Kubernetes is.

    `account_requests_per_second`: to one Makini account at most. `lease_duration`: None works without a Lease.
    `identity`: who holds it; see `kube.lease.Lease`. `sync_image`: what sync pods run; empty: this operator runs no
    syncs. `sync_image_pull_policy`: one of `PULL_POLICIES`. `sync_begin_within`: how long a run of a
    sync may take to begin before that is told.
    """

    namespace: str
    metrics: str | None = None
    health: str | None = None
    workers: int = 8
    relist_every: timedelta = timedelta(minutes=10)
    account_requests_per_second: float = DEFAULT_PER_SECOND
    resync_every: timedelta = timedelta(minutes=5)
    lease_duration: timedelta | None = timedelta(seconds=15)
    identity: str = field(default_factory=own_identity)
    sync_image: str = ""
    sync_image_pull_policy: str = "IfNotPresent"
    sync_begin_within: timedelta = timedelta(minutes=5)
