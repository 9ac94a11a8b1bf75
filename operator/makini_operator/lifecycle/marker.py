"""The marker that ties a connection at Makini to the resource that asked for it.

Makini has no idempotency keys, and its metadata is a second call, so the marker stands at
the start of the connection's *name*: `mk1.<credits>.<tag>.<home>.<check>`. The tag is an HMAC
over namespace/name/uid with the installation's key; the home one over namespace/name alone, by
which a resource that was restored from a backup, with a new uid, finds its connection again.
The check signs all of it, so that a marker is known to be ours even when its resource is gone,
and says what it cost. Nobody without the key can make one: the customer may type names, too.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass, field

_FORM = re.compile(
    r"^mk1\.(?P<amount>0|[1-9][0-9]{0,6})\.(?P<tag>[a-z2-7]{16})\.(?P<home>[a-z2-7]{8})\.(?P<check>[a-z2-7]{8})(?: |$)"
)


@dataclass(frozen=True)
class InstallationKey:
    """The installation's secret key; its bytes never appear in a repr."""

    key: bytes = field(repr=False)

    def digest(self, *parts: str) -> bytes:
        """HMAC-SHA256 over the parts, unambiguously joined."""
        message = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
        return hmac.new(self.key, message, hashlib.sha256).digest()


@dataclass(frozen=True)
class Marker:
    """Which resource a connection belongs to (`tag`), the credits it was opened for, and where it was declared."""

    tag: str
    amount: int
    home: str


def tag(key: InstallationKey, *, namespace: str, name: str, uid: str) -> str:
    """The tag of one resource: 16 characters, different for every uid."""
    return _text(key.digest("tag", namespace, name, uid), 16)


def home(key: InstallationKey, *, namespace: str, name: str) -> str:
    """The home of all resources that ever bear this name: 8 characters."""
    return _text(key.digest("home", namespace, name), 8)


def remote_name(key: InstallationKey, marker: Marker, customer: str) -> str:
    """The name that a connection gets at Makini."""
    return f"mk1.{marker.amount}.{marker.tag}.{marker.home}.{_check(key, marker)} {customer}"


def read(key: InstallationKey, name: str) -> Marker | None:
    """The marker in a connection's name, or None if it is not of this installation."""
    match = _FORM.match(name)
    if match is None:
        return None
    marker = Marker(match["tag"], int(match["amount"]), match["home"])
    return marker if hmac.compare_digest(match["check"], _check(key, marker)) else None


def _check(key: InstallationKey, marker: Marker) -> str:
    return _text(key.digest("check", marker.tag, str(marker.amount), marker.home), 8)


def _text(digest: bytes, length: int) -> str:
    return base64.b32encode(digest).decode().lower()[:length]
