"""Text from the server, made safe to show.

A server may echo what it was sent: a rejected login often comes back with the password in the message. So every text
that a reply contributes to an error passes through here with the secrets of its request, and leaves bounded, without
control characters, and with each secret, and each piece of one that is long enough to be of use, replaced by `***`.
"""

import html
import json
import urllib.parse
from collections.abc import Iterable

MASK = "***"
MAX_TEXT = 300  # characters of server text in an error
PIECE = 6  # characters; a shorter piece of a secret is not recognised as one
_MAX_SCAN = 16_384  # characters looked at; what comes later is cut off anyway


class Redactor:
    """Removes the given secrets from text, whole or in pieces of six or more characters, in any letter case.

    A secret shorter than that is only recognised whole. Also recognised are the forms a server is likely to echo: JSON
    escaped, percent-encoded and HTML escaped.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {_fold(form) for secret in secrets for form in _forms(secret)} - {""}
        self._short = {form for form in forms if len(form) < PIECE}
        self._pieces = {form[i : i + PIECE] for form in forms for i in range(len(form) - PIECE + 1)}

    def clean(self, text: str, *, limit: int = MAX_TEXT) -> str:
        """Return `text` as one bounded line of at most `limit` characters without secrets."""
        flat = " ".join(_printable(text[:_MAX_SCAN]).split())
        masked = self._mask(flat)
        return masked if len(masked) <= limit else masked[: limit - 1] + "…"

    def _mask(self, text: str) -> str:
        folded = _fold(text)
        hidden = bytearray(len(text))
        for start in range(len(folded) - PIECE + 1):
            if folded[start : start + PIECE] in self._pieces:
                hidden[start : start + PIECE] = b"\x01" * PIECE
        for short in self._short:
            start = folded.find(short)
            while start >= 0:
                hidden[start : start + len(short)] = b"\x01" * len(short)
                start = folded.find(short, start + 1)
        shown = (MASK if is_hidden else char for char, is_hidden in zip(text, hidden, strict=True))
        return _collapse(shown, hidden)


def _collapse(shown: Iterable[str], hidden: bytearray) -> str:
    # One mask for a run of hidden characters, so that not even the length of a secret is told.
    return "".join(part for i, part in enumerate(shown) if not (hidden[i] and i and hidden[i - 1]))


def _forms(secret: str) -> Iterable[str]:
    for form in (secret, json.dumps(secret)[1:-1], urllib.parse.quote(secret, safe=""), html.escape(secret)):
        yield " ".join(_printable(form).split())


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)


def _fold(text: str) -> str:
    # Character by character, because lower-casing a whole string may change its length and with it every position.
    return "".join(low if len(low := char.lower()) == 1 else char for char in text)
