"""One page of the API: the request, its token, and how often it is repeated.

Guarantees: the token goes to the origin that was named and to no other (redirects and links are not followed, a .netrc
is not read); it is read from its file for every request, and once more when it is refused; `Retry-After` is obeyed, up
to a bound; a request has a deadline as a whole, so that a source that drips byte by byte cannot hold a run; an answer
is read up to a bound. What fails is repeated a few times with growing waits, and then fails the run.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from urllib.parse import urlsplit

import requests
import urllib3

from makini_operator.sync.deadline import Deadline, DeadlineAdapter
from makini_operator.sync.errors import BadSettings, SourceUnavailable, SyncError, TokenRefused
from makini_operator.sync.redact import clean

logger = logging.getLogger(__name__)

_CHUNK = 65_536
_OK, _UNAUTHORIZED, _TOO_MANY = 200, 401, 429
_TEMPORARY = {408, 425, 429, 500, 502, 503, 504}
_REDIRECTS = range(300, 400)
_SHOWN = 2_000  # bytes of an error's body that are looked at


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a source is waited for. Seconds."""

    attempts: int = 6
    first_wait: float = 1.0  # doubled each time
    longest_wait: float = 60.0
    longest_retry_after: float = 600.0
    connect: float = 10.0
    request: float = 120.0
    max_bytes: int = 64 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The body of a 200, and the source's own time."""

    body: bytes
    date: datetime


@dataclass(kw_only=True)
class Source:
    """Reads from one base URL with one connection's token."""

    url: str
    token: Callable[[], str]
    patience: Patience = field(default_factory=Patience)
    pause: Callable[[float], None] = time.sleep
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        """Check the URL; raises BadSettings."""
        self.url = checked_url(self.url)
        self.session.auth = lambda request: request  # else a .netrc would replace the token
        self.session.max_redirects = 0
        self._deadline = Deadline()
        for scheme in ("https://", "http://"):
            self.session.mount(scheme, DeadlineAdapter(self._deadline))

    def get(self, path: str, query: Mapping[str, str]) -> Answer:
        """Return the answer to a read.

        Raises:
            TokenRefused: the token was refused, also after it was read again.
            SourceUnavailable: no usable answer after several attempts.
        """
        was_refused, failures = False, 0
        while True:
            try:
                return self._get_once(path, query)
            except _Refused as error:
                if was_refused:
                    raise TokenRefused(str(error)) from None
                was_refused = True  # and no attempt is used up: the file may hold a new one
                self.wait(1)
            except _Temporary as error:
                failures += 1
                if failures >= self.patience.attempts:
                    raise SourceUnavailable(
                        f"{error}; given up after {failures} attempts, nothing was loaded"
                    ) from None
                self._wait(failures, error)

    def close(self) -> None:
        """Close its connections."""
        self.session.close()
        self._deadline.close()

    def wait(self, attempt: int) -> None:
        """Wait before repetition number `attempt` (from 1)."""
        self.pause(min(self.patience.longest_wait, self.patience.first_wait * 2 ** (attempt - 1)))

    def _wait(self, attempt: int, failed: _Temporary) -> None:
        asked = failed.retry_after
        if asked is None:
            self.wait(attempt)
            return
        if asked > self.patience.longest_retry_after:
            raise SourceUnavailable(
                f"{failed}; it asks to wait {asked:.0f} s, more than {self.patience.longest_retry_after:.0f} s: "
                "the next run tries again"
            )
        logger.info("%s: waiting %.0f s as it asks", failed, asked)
        self.pause(max(asked, self.patience.first_wait))

    def _get_once(self, path: str, query: Mapping[str, str]) -> Answer:
        token = self.token()
        with self._deadline.within(self.patience.request) as is_over:
            late = f"GET {path}: no complete answer within {self.patience.request:g} s"
            try:
                with self.session.get(
                    self.url + path,
                    params=dict(query),
                    headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
                    allow_redirects=False,
                    stream=True,
                    timeout=(min(self.patience.connect, self.patience.request), min(30.0, self.patience.request)),
                ) as response:
                    answer = self._read(response, path, token)
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                raise _Temporary(late if is_over() else f"GET {path}: {_plain(error)}") from None
            if is_over():  # a body without a length ends where it was cut
                raise _Temporary(late)
            return answer

    def _read(self, response: requests.Response, path: str, token: str) -> Answer:
        status = response.status_code
        if status == _OK:
            body = self._body(response, path, self.patience.max_bytes)
            return Answer(body=body, date=_date(response.headers.get("Date")))
        said = clean(_start(response).decode("utf-8", "replace"), [token])
        text = f"GET {path} answered {status}" + (f" ({said})" if said else "")
        if status == _UNAUTHORIZED:
            raise _Refused(f"{text}: the token is not accepted; was the connection closed, or its token replaced?")
        if status in _TEMPORARY:
            raise _Temporary(text, _retry_after(response.headers.get("Retry-After")))
        if status in _REDIRECTS:
            raise SourceUnavailable(f"{text}: a redirect is not followed, it would carry the token to another place")
        raise SourceUnavailable(text)

    def _body(self, response: requests.Response, path: str, limit: int) -> bytes:
        parts, size = [], 0
        for chunk in response.iter_content(_CHUNK):
            parts.append(chunk)
            size += len(chunk)
            if size > limit:
                raise SourceUnavailable(f"GET {path}: an answer of more than {limit} bytes: ask for smaller pages")
        return b"".join(parts)


class _Temporary(SyncError):
    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class _Refused(SyncError):
    pass


def checked_url(url: str) -> str:
    """Return the API's base URL without a trailing slash.

    Raises:
        BadSettings: it is not https (http only for loopback and *.svc), or holds user, query or fragment.
    """
    parts = urlsplit(url)
    if not parts.hostname or "@" in parts.netloc or parts.query or parts.fragment:
        raise BadSettings("--url: expected https://host[:port][/path] without user, query and fragment")
    is_near = _is_loopback(parts.hostname) or parts.hostname.endswith((".svc", ".svc.cluster.local"))
    if parts.scheme != "https" and not (parts.scheme == "http" and is_near):
        raise BadSettings("--url: expected https (http only for this computer and for *.svc): it carries the token")
    return url.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _start(response: requests.Response) -> bytes:
    try:
        return next(response.iter_content(_SHOWN), b"")
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError):
        return b""  # the status says enough


def _retry_after(text: str | None) -> float | None:
    if not text:
        return None
    if text.strip().isdigit():
        return float(text.strip()[:9])
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def _date(text: str | None) -> datetime:
    try:
        return parsedate_to_datetime(text or "").astimezone(UTC)
    except (ValueError, TypeError):
        return datetime.now(UTC)


def _plain(error: Exception) -> str:
    match error:
        case requests.Timeout() | TimeoutError():
            return "no answer in time"
        case requests.exceptions.SSLError():
            return "the certificate is not accepted"
        case requests.exceptions.ChunkedEncodingError() | urllib3.exceptions.ProtocolError():
            return "the answer was cut off"
        case requests.ConnectionError():
            return "no connection"
        case _:
            return type(error).__name__
