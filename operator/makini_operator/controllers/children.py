"""What the operator knows of the objects that it made for connections, and who controls them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from makini_operator.controllers.installation import Installation
from makini_operator.kube.api import (
    CRON_JOBS,
    JOBS,
    NETWORK_POLICIES,
    ROLE_BINDINGS,
    ROLES,
    SECRETS,
    KubeApi,
    Object,
    Resource,
)
from makini_operator.kube.owners import OwnerIndex
from makini_operator.kube.store import ObjectStore, Stored
from makini_operator.manifests import cron_job, plain, secret, sync_run
from makini_operator.manifests.cron_job import CronJobRecord
from makini_operator.manifests.ownership import MANAGED_SELECTOR
from makini_operator.manifests.plain import PlainRecord
from makini_operator.manifests.secret import SecretRecord
from makini_operator.manifests.sync_run import RunRecord

T = TypeVar("T", bound=Stored)


class Children:
    """The children of all connections, as far as they are watched."""

    def __init__(self, api: KubeApi, installation: Installation) -> None:
        self._api, self._installation = api, installation
        self.secrets: ObjectStore[SecretRecord] = ObjectStore()
        self.cron_jobs: ObjectStore[CronJobRecord] = ObjectStore()
        self.sync_runs: ObjectStore[RunRecord] = ObjectStore()
        self.roles: ObjectStore[PlainRecord] = ObjectStore()
        self.role_bindings: ObjectStore[PlainRecord] = ObjectStore()
        self.network_policies: ObjectStore[PlainRecord] = ObjectStore()
        self._secret_owners = OwnerIndex(self.secrets)
        self._cron_job_owners = OwnerIndex(self.cron_jobs)
        self._sync_run_owners = OwnerIndex(self.sync_runs)
        self._role_owners = OwnerIndex(self.roles)
        self._role_binding_owners = OwnerIndex(self.role_bindings)
        self._network_policy_owners = OwnerIndex(self.network_policies)

    # --- taking in what Kubernetes says ----------------------------------------------------------------------------

    def take_secret(self, obj: Object) -> SecretRecord:
        """Put what may be remembered of a Secret into the store."""
        return take(self.secrets, obj, lambda raw: secret.record(raw, self._installation.key))

    def take_cron_job(self, obj: Object) -> CronJobRecord:
        """Put what is remembered of a CronJob into the store."""
        return take(self.cron_jobs, obj, cron_job.record)

    def take_sync_run(self, obj: Object) -> RunRecord:
        """Put what is remembered of a sync's Job into the store."""
        return take(self.sync_runs, obj, sync_run.record)

    def take_role(self, obj: Object) -> PlainRecord:
        """Put what is remembered of a Role into the store."""
        return take(self.roles, obj, plain.record)

    def take_role_binding(self, obj: Object) -> PlainRecord:
        """Put what is remembered of a RoleBinding into the store."""
        return take(self.role_bindings, obj, plain.record)

    def take_network_policy(self, obj: Object) -> PlainRecord:
        """Put what is remembered of a NetworkPolicy into the store."""
        return take(self.network_policies, obj, plain.record)

    async def relist(self) -> None:
        """Read all of them consistently: finds deletions that a broken watch has missed. Raises `KubeError`."""
        await self._relist(SECRETS, self.secrets, self.take_secret)
        await self._relist(CRON_JOBS, self.cron_jobs, self.take_cron_job)
        await self._relist(JOBS, self.sync_runs, self.take_sync_run, sync_run.SELECTOR)
        await self._relist(ROLES, self.roles, self.take_role)
        await self._relist(ROLE_BINDINGS, self.role_bindings, self.take_role_binding)
        await self._relist(NETWORK_POLICIES, self.network_policies, self.take_network_policy)

    # --- who belongs to whom ---------------------------------------------------------------------------------------

    def secrets_of(self, uid: str) -> list[SecretRecord]:
        """Secrets known to be controlled by this connection."""
        return self._secret_owners.of(uid)

    def cron_jobs_of(self, uid: str) -> list[CronJobRecord]:
        """CronJobs with our label that are controlled by this connection."""
        return self._cron_job_owners.of(uid)

    def sync_runs_of(self, cron_job_uid: str) -> list[RunRecord]:
        """Jobs of syncs that this CronJob controls."""
        return self._sync_run_owners.of(cron_job_uid)

    def roles_of(self, uid: str) -> list[PlainRecord]:
        """Roles with our label that are controlled by this connection."""
        return self._role_owners.of(uid)

    def role_bindings_of(self, uid: str) -> list[PlainRecord]:
        """RoleBindings with our label that are controlled by this connection."""
        return self._role_binding_owners.of(uid)

    def network_policies_of(self, uid: str) -> list[PlainRecord]:
        """NetworkPolicies with our label that are controlled by this connection."""
        return self._network_policy_owners.of(uid)

    async def _relist(
        self, resource: Resource, store: ObjectStore[T], take: Callable[[Object], T], selector: str = MANAGED_SELECTOR
    ) -> None:
        """Read all children of one kind."""
        known = store.uids()
        store.replace_all(await self._api.list_through(resource, take, selector=selector), known_before=known)


def take(store: ObjectStore[T], obj: Object, parse: Callable[[Object], T]) -> T:
    """Put an object into its store; what is known already is not parsed again."""
    meta = obj["metadata"]
    return store.known(meta["uid"], meta["resourceVersion"]) or store.put(parse(obj))
