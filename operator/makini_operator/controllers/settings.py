"""How one operator process is to run."""

from __future__ import annotations

import os
import socket
import uuid
from dataclasses import dataclass, field
from datetime import timedelta

from makini_operator.makini.budget import DEFAULT_PER_SECOND


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
    `identity`: who holds it; see `kube.lease.Lease`.
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
