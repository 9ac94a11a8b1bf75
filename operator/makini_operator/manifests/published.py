"""A published token: what the Secret tells its readers, and the proof that nobody has changed it since.

The checksum covers the tokens and everything that must not change with them, so an edited token
is noticed without the token being kept anywhere else.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from makini_operator.lifecycle.marker import InstallationKey
from makini_operator.manifests.ownership import CHECKSUM, Manifest
from makini_operator.resources.base import GROUP
from makini_operator.resources.conditions import timestamp

ISSUED_AT = f"{GROUP}/issued-at"
EXPIRES_AT = f"{GROUP}/expires-at"
ATTEMPT = f"{GROUP}/attempt"
PREVIOUS_EXPIRES_AT = f"{GROUP}/previous-expires-at"
TOKEN, CONNECTION_ID, URL, PREVIOUS_TOKEN = "token", "connection-id", "url", "previous-token"


@dataclass(frozen=True)
class PreviousToken:
    """The token before; its characters stay out of the repr."""

    token: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True)
class PublishedToken:
    """What the Secret tells its readers; the token's characters stay out of the repr."""

    token: str = field(repr=False)
    connection_id: str
    url: str
    issued_at: datetime
    expires_at: datetime
    attempt: int = 0
    """Which of the connection's tokens it is; 0: the first."""
    previous: PreviousToken | None = None

    def blank(self) -> PublishedToken:
        """The same without the characters of any token."""
        return replace(self, token="", previous=self.previous and replace(self.previous, token=""))

    def followed_by(self, newer: PublishedToken) -> PublishedToken:
        """`newer`, with this one as its previous token."""
        return replace(newer, previous=PreviousToken(self.token, self.expires_at))

    def keys(self) -> frozenset[str]:
        """The keys of the Secret's data."""
        return frozenset(self.values())

    def values(self) -> dict[str, str]:
        """The Secret's data, not encoded."""
        values = {TOKEN: self.token, CONNECTION_ID: self.connection_id, URL: self.url}
        return values | ({PREVIOUS_TOKEN: self.previous.token} if self.previous else {})


def proof_of(published: PublishedToken, uid: str, key: InstallationKey) -> dict[str, str]:
    """The annotations that go with it: its times, its number, and the proof; `uid` is the connection's."""
    notes = {ISSUED_AT: timestamp(published.issued_at), EXPIRES_AT: timestamp(published.expires_at)}
    if published.attempt:
        notes[ATTEMPT] = str(published.attempt)
    if published.previous:
        notes[PREVIOUS_EXPIRES_AT] = timestamp(published.previous.expires_at)
    return notes | {CHECKSUM: _checksum(key, uid, published)}


def intact_token(manifest: Manifest, uid: str, key: InstallationKey) -> PublishedToken | None:
    """The token in this Secret, if nobody has changed it since it was published for connection `uid`."""
    published = _read(manifest)
    proof = (manifest["metadata"].get("annotations") or {}).get(CHECKSUM, "")
    if published is None or not hmac.compare_digest(proof.encode(), _checksum(key, uid, published).encode()):
        return None
    return published


def _checksum(key: InstallationKey, uid: str, published: PublishedToken) -> str:
    times = (timestamp(published.issued_at), timestamp(published.expires_at))
    parts = ["token", uid, published.connection_id, published.token, *times]
    previous = published.previous
    if published.attempt or previous:
        parts += [str(published.attempt)]
    if previous:
        parts += [previous.token, timestamp(previous.expires_at)]
    return key.digest(*parts).hex()


def _read(manifest: Manifest) -> PublishedToken | None:
    data, notes = manifest.get("data") or {}, manifest["metadata"].get("annotations") or {}
    try:
        previous = None
        if PREVIOUS_TOKEN in data:
            previous = PreviousToken(_decoded(data[PREVIOUS_TOKEN]), _moment(notes[PREVIOUS_EXPIRES_AT]))
        return PublishedToken(
            token=_decoded(data[TOKEN]),
            connection_id=_decoded(data[CONNECTION_ID]),
            url=_decoded(data.get(URL, "")),
            issued_at=_moment(notes[ISSUED_AT]),
            expires_at=_moment(notes[EXPIRES_AT]),
            attempt=int(notes.get(ATTEMPT, "0")),
            previous=previous,
        )
    except (KeyError, ValueError, binascii.Error):
        return None


def _decoded(text: str) -> str:
    return base64.b64decode(text, validate=True).decode()


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
