"""Who else gets the token: readers by a Role on exactly its Secret, stores by a PushSecret each.

The right to read is given only when the Secret is known to be ours, and taken before the Secret
goes: it names the Secret, and would open whatever bears that name next.
"""

from __future__ import annotations

from datetime import datetime

from makini_operator.lifecycle.actions import Action, ApplyReaders, ApplyStore, RemoveReaders, RemoveStore
from makini_operator.lifecycle.observation import Observation, SecretState, Trouble
from makini_operator.lifecycle.steps import LOOK_AGAIN, refusal
from makini_operator.resources.reasons import Reason


def readers_chores(o: Observation, now: datetime) -> tuple[Action, ...]:
    """What is missing or too much among the rights of readers."""
    if o.readers.are_as_wanted or o.secret.state is not SecretState.INTACT:
        return ()
    if refusal(o, Reason.READERS_REFUSED, now):
        return ()
    spec = o.connection.spec.token
    return (ApplyReaders(),) if spec and spec.readers else (RemoveReaders(),)


def store_chores(o: Observation, now: datetime) -> tuple[Action, ...]:
    """What is missing or too much among the PushSecrets."""
    if refusal(o, Reason.STORE_REFUSED, now):
        return ()
    removed = tuple(RemoveStore(name) for name in o.stores.to_remove)
    recorded = o.connection.status.stores or []
    applied = tuple(ApplyStore(name) for name in o.stores.to_apply if name in recorded) if o.stores.is_served else ()
    return (*removed, *applied)


def stores_recorded(o: Observation) -> list[str] | None:
    """The stores that may hold a copy: those of the spec, and those whose PushSecrets are not removed yet."""
    spec = o.connection.spec.token
    wanted = {store.name for store in (spec.stores if spec else None) or []}
    return sorted(wanted | remaining_stores(o)) or None


def remaining_stores(o: Observation) -> set[str]:
    """What was recorded, while some of it is left."""
    return set(o.connection.status.stores or []) if o.stores.to_remove else set()


def withdrawal(o: Observation, now: datetime) -> tuple[Action, ...]:
    """All rights of readers and all copies go, as far as Kubernetes has not just refused that."""
    gone: list[Action] = []
    if o.readers.is_anything_there and not refusal(o, Reason.READERS_REFUSED, now):
        gone.append(RemoveReaders())
    if not refusal(o, Reason.STORE_REFUSED, now):
        gone.extend(RemoveStore(name) for name in o.stores.to_remove)
    return tuple(gone)


def sharing_trouble(o: Observation, now: datetime) -> Trouble | None:
    """What keeps readers or stores from getting the token; the rest works all the same."""
    refused = refusal(o, Reason.READERS_REFUSED, now) or refusal(o, Reason.STORE_REFUSED, now)
    if refused:
        return refused
    if not o.stores.is_served:
        message = (
            "spec.token.stores needs External Secrets Operator, and this cluster has no PushSecret "
            "(external-secrets.io/v1alpha1): install it, or leave spec.token.stores out; everything else works"
        )
        return Trouble(Reason.STORES_NOT_SERVED, message)
    if o.stores.to_apply:
        message = f"the token is being copied into store {', '.join(o.stores.to_apply)}"
        return Trouble(Reason.STORE_NOT_READY, message, now + LOOK_AGAIN)
    if o.stores.problem:
        return Trouble(Reason.STORE_NOT_READY, o.stores.problem, now + LOOK_AGAIN)
    return None
