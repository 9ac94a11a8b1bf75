"""The token's Secret on the cluster: published, restored, deleted, and never somebody else's."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from makini_operator.controllers.accounts import Account
from makini_operator.controllers.notes import ChildRefused, HeldToken, Note
from makini_operator.controllers.world import World
from makini_operator.kube.api import SECRETS, Object
from makini_operator.kube.errors import AlreadyExists, Conflict, Forbidden, Invalid, KubeError, NotFound
from makini_operator.lifecycle.observation import Observation
from makini_operator.lifecycle.rotation import attempt_of
from makini_operator.makini import Unauthenticated
from makini_operator.manifests import secret
from makini_operator.manifests.published import PublishedToken, intact_token
from makini_operator.resources.connection import MakiniConnection
from makini_operator.resources.reasons import Reason


class Secrets:
    """The token Secrets of any connection."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def publish(self, account: Account, connection_id: str, o: Observation, note: Note) -> None:
        """At most one mint for one Secret: a token in hand, or in a Secret that is being renamed, is used first.

        In a rotation the token that is there becomes the previous one.
        Raises `MakiniError`, `ChildRefused`, `Conflict`.
        """
        attempt = attempt_of(o.connection)
        is_right = note.held and (note.held.connection_id, note.held.attempt) == (connection_id, attempt)
        held = note.held if is_right else None
        published = _published(held, account.key.url) if held else await self._moved_token(o, connection_id)
        if published is None:
            issued_at = datetime.now(UTC)
            key = f"{connection_id}-{attempt or f'{issued_at.timestamp():.0f}'}"
            token = await account.client.mint_token(connection_id, idempotency_key=key)
            note.held = HeldToken(connection_id, token, issued_at, attempt)
            published = _published(note.held, account.key.url)
        await self._write(o.connection, published, is_new=True)
        note.held = None
        note.succeeded()

    async def probe_previous(self, account: Account, o: Observation, note: Note) -> None:
        """Ask Makini about the previous token; what it says is noted. Raises `MakiniError`, `Conflict`."""
        published = await self._intact(o)
        if published.previous is None:
            raise Conflict("there is no previous token any more")
        try:
            await account.client.current(published.previous.token)
            works = True
        except Unauthenticated:
            works = False
        note.probed = (published.connection_id, published.attempt, works)
        note.succeeded()

    async def drop_previous(self, o: Observation) -> None:
        """Take the previous token out. Raises `ChildRefused`, `Conflict`."""
        await self._write(o.connection, replace(await self._intact(o), previous=None))

    async def _intact(self, o: Observation) -> PublishedToken:
        """What the Secret holds now. Raises `Conflict` when that is not what was decided on."""
        meta = o.connection.metadata
        try:
            actual = await self._world.api.get(SECRETS, meta.namespace, o.connection.secret_name)
        except NotFound:
            self._forget(o, o.connection.secret_name)
            raise Conflict("the Secret is gone") from None
        published = intact_token(actual, meta.uid, self._world.installation.key)
        if published is None or published.attempt != o.secret.attempt:
            self._world.children.take_secret(actual)
            raise Conflict("the Secret has changed")
        return published

    async def repair(self, o: Observation) -> None:
        """Restore everything but the token. Raises `ChildRefused`, `Conflict`."""
        meta = o.connection.metadata
        try:
            actual = await self._world.api.get(SECRETS, meta.namespace, o.connection.secret_name)
        except NotFound:
            self._forget(o, o.connection.secret_name)
            return
        published = intact_token(actual, meta.uid, self._world.installation.key)
        if published is None:
            self._world.children.take_secret(actual)
            return
        await self._write(o.connection, replace(published, url=o.endpoint))

    async def delete(self, o: Observation, name: str) -> None:
        """Delete the Secret of this name, if it is ours. Raises `ChildRefused`."""
        namespace = o.connection.metadata.namespace
        try:
            found = await self._world.api.get(SECRETS, namespace, name)
        except NotFound:
            self._forget(o, name)
            return
        read = secret.record(found, self._world.installation.key)
        if secret.is_ours(read, o.connection):
            try:
                await self._world.api.delete(SECRETS, namespace, name, uid=read.metadata.uid)
            except (Forbidden, Invalid) as error:
                raise _refused(name, error) from None
        self._forget(o, name)

    async def _moved_token(self, o: Observation, connection_id: str) -> PublishedToken | None:
        """The token of a Secret of ours under a former name, when the Secret of the new name does not exist yet."""
        if o.secret.issued_at is not None:
            return None
        for name in o.superseded_secrets:
            try:
                found = await self._world.api.get(SECRETS, o.connection.metadata.namespace, name)
            except NotFound:
                continue
            token = intact_token(found, o.connection.metadata.uid, self._world.installation.key)
            if token and token.connection_id == connection_id:
                return replace(token, url=o.endpoint)
        return None

    async def _write(self, connection: MakiniConnection, published: PublishedToken, *, is_new: bool = False) -> None:
        """Create it, or replace exactly the version that was seen to be ours. Raises `Conflict` if it is foreign."""
        meta, key = connection.metadata, self._world.installation.key
        try:
            actual = await self._world.api.get(SECRETS, meta.namespace, connection.secret_name)
        except NotFound:
            actual = None
        if actual is not None and not secret.is_ours(secret.record(actual, key), connection):
            raise Conflict(f"Secret {connection.secret_name} is not ours")
        before = intact_token(actual, meta.uid, key) if actual is not None else None
        if is_new and actual and before and before.connection_id == published.connection_id:
            if before.attempt >= published.attempt:
                self._world.children.take_secret(actual)
                raise Conflict("a newer token is published already")
            published = before.followed_by(published)
        wanted = secret.secret(connection, published, key)
        try:
            if actual is None:
                written = await self._create(meta.namespace, wanted)
            else:
                written = await self._world.api.replace(SECRETS, meta.namespace, secret.repaired(actual, wanted))
        except (Forbidden, Invalid) as error:
            raise _refused(connection.secret_name, error) from None
        self._world.children.take_secret(written)

    async def _create(self, namespace: str, wanted: Object) -> Object:
        try:
            return await self._world.api.create(SECRETS, namespace, wanted)
        except AlreadyExists as error:
            raise Conflict(str(error), status=409) from None

    def _forget(self, o: Observation, name: str) -> None:
        known = self._world.children.secrets.named(o.connection.metadata.namespace, name)
        if known:
            self._world.children.secrets.remove(known.metadata.uid)


def _refused(name: str, error: KubeError) -> ChildRefused:
    message = f"Secret {name} is refused by Kubernetes ({error.said}): mend spec.token, or what refuses it"
    return ChildRefused(Reason.SECRET_REFUSED, message)


def _published(held: HeldToken, url: str) -> PublishedToken:
    return PublishedToken(
        token=held.token.token,
        connection_id=held.connection_id,
        url=url,
        issued_at=held.issued_at.replace(microsecond=0),
        expires_at=held.token.expires_at.replace(microsecond=0),
        attempt=held.attempt,
    )
