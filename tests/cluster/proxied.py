"""A world whose operator reaches Kubernetes and Makini through proxies, and is started again whenever it has ended."""

import os
import signal
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.cluster.at_rest import Look
from tests.cluster.fixtures_operator import World
from tests.harness import Rig, Sandbox
from tests.harness.api_proxy import ApiProxy, WriteCounter
from tests.localkube import objects

STARTED_WITH = ("--account-relist", "2")


class ProxiedWorld(World):
    """`kube` and `makini` are the proxies; both count into the same `writes`."""

    def __init__(self, rig: Rig, sandbox: Sandbox, namespace: str, kube: ApiProxy, makini: ApiProxy) -> None:
        super().__init__(rig, sandbox, namespace)
        self.kube, self.makini = kube, makini
        self.starts = 0

    def make_pool(self, credits: int = 12, **spec: Any) -> None:  # noqa: A002 - the field's name
        account = {"url": self.makini.url, "credentialsSecretRef": {"name": self.account}}
        super().make_pool(credits, **({"account": account} | spec))

    def another(self) -> "ProxiedWorld":
        """The same, for a pool of its own."""
        return ProxiedWorld(self.rig, self.sandbox, self.namespace, self.kube, self.makini)

    def until(self, what: Callable[[], Any], seconds: float = 60) -> Any:
        """Wait, and start the operator again when it has ended, as Kubernetes would."""

        def kept_alive() -> Any:
            if not self.rig.operator.is_running:
                self.starts += 1
                self.rig.operator.start()
            return what()

        return super().until(kept_alive, seconds)

    def tidy(self) -> None:
        """Take everything down again, undisturbed, and see that nothing stays."""
        self.kube.heal()
        self.makini.heal()
        self.sandbox.heal()
        objects.delete_all(self.rig.cluster, "mconn", self.namespace)
        objects.delete(self.rig.cluster, "cpool", self.pool)
        self.until(lambda: Look(self).connections == {} and Look(self).pool is None)
        assert self.sandbox.connections() == []

    def kill_operator(self) -> None:
        """kill -9, from any thread; `until` starts it again."""
        os.kill(self.rig.operator.pid, signal.SIGKILL)


@contextmanager
def proxied(rig: Rig, sandbox: Sandbox, namespace: str) -> Iterator[ProxiedWorld]:
    """A running operator behind two proxies; at the end everything is taken down, and the operator killed."""
    writes = WriteCounter()
    tls = ssl.create_default_context(cafile=rig.cluster.layout.pki / "ca.crt")
    with (
        ApiProxy(rig.cluster.server, tls=tls, writes=writes) as kube,
        ApiProxy(sandbox.url, writes=writes) as makini,
    ):
        rig.through = kube.url
        try:
            rig.start_operator(*STARTED_WITH)
            world = ProxiedWorld(rig, sandbox, namespace, kube, makini)
            try:
                yield world
            finally:
                writes.on_write = None
                world.tidy()
        finally:
            rig.through = None
            rig.operator.kill()
