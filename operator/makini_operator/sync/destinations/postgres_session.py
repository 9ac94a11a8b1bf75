"""The one session of a run with PostgreSQL: how it is opened, what keeps it alive, and how it is asked.

Every error of the server or the network comes out as DestinationFailed, without secrets.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from makini_operator.sync.errors import BadSettings, DestinationFailed
from makini_operator.sync.redact import clean

if TYPE_CHECKING:
    import psycopg2.extensions

BATCH = 5_000  # rows
_CONNECT_TIMEOUT = 15  # seconds
# When the run's node dies, its sessions end within a minute, and with them the lock; by default after two hours.
_KEEPALIVES = {"tcp_keepalives_idle": 30, "tcp_keepalives_interval": 10, "tcp_keepalives_count": 3}


class Session:
    """A session in autocommit mode. `dsn` is a URL or a libpq connection string, with its password.

    Raises:
        BadSettings: it is neither.
    """

    def __init__(self, dsn: str) -> None:
        import psycopg2.extensions  # noqa: PLC0415 - only who loads there needs it

        self._errors = psycopg2.Error
        self._dsn = dsn.strip()
        try:
            self.parts: dict[str, Any] = psycopg2.extensions.parse_dsn(self._dsn)
        except psycopg2.ProgrammingError:
            raise BadSettings(
                "the PostgreSQL credentials are not a connection string: expected postgresql://user:password@host/database"
            ) from None
        self._connection: psycopg2.extensions.connection | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """The password."""
        return tuple(filter(None, [self.parts.get("password")]))

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Be connected."""
        self._connection = self._connect()
        try:
            yield
        finally:
            self._connection.close()
            self._connection = None

    def used(self) -> dict[str, Any]:
        """Return the parts of the connection string as they are used, defaults and libpq's environment with them."""
        info = self._opened().info
        return {**{k: v for k, v in info.dsn_parameters.items() if v}, "password": info.password}

    def options(self) -> dict[str, str]:
        """Return the options for other sessions beside this one, which must not outlive it for long either."""
        known = {name for (name,) in self.ask("SELECT name FROM pg_settings WHERE name = ANY(%s)", list(_KEEPALIVES))}
        added = [f"-c {name}={value}" for name, value in _KEEPALIVES.items() if name in known]
        return {"options": " ".join(filter(None, [self.parts.get("options"), *added]))} if added else {}

    def run(self, query: str, *values: Any) -> int:
        """Run a statement; return how many rows it has changed."""
        with self._cursor() as cursor:
            cursor.execute(query, values or None)
            return int(cursor.rowcount)

    def ask(self, query: str, *values: Any) -> list[Any]:
        """Run any statement; return its rows. Without values a % stands for itself."""
        with self._cursor() as cursor:
            cursor.execute(query, values or None)
            return list(cursor.fetchall()) if cursor.description else []

    def one(self, query: str, *values: Any) -> Any:
        """Return the first row."""
        return self.ask(query, *values)[0]

    def stream(self, query: str) -> Iterator[Any]:
        """Return the rows a batch at a time; nothing else can be asked meanwhile."""
        with self._cursor() as cursor:
            cursor.execute(f"BEGIN; DECLARE makini_known NO SCROLL CURSOR FOR {query}")
            try:
                while True:
                    cursor.execute(f"FETCH {BATCH} FROM makini_known")
                    found = cursor.fetchall()
                    yield from found
                    if len(found) < BATCH:
                        return
            finally:
                cursor.execute("ROLLBACK")

    def _connect(self) -> psycopg2.extensions.connection:
        import psycopg2  # noqa: PLC0415

        settings: dict[str, Any] = {
            "connect_timeout": _CONNECT_TIMEOUT,
            "application_name": "makini-sync",
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
        }
        try:
            connection: psycopg2.extensions.connection = psycopg2.connect(
                self._dsn, **{k: v for k, v in settings.items() if k not in self.parts}
            )
        except self._errors as error:
            raise self._failed(error) from None
        connection.autocommit = True
        # Not as options of the connection, which some poolers refuse; nor does every server know these.
        with connection.cursor() as cursor, suppress(self._errors):
            for name, value in _KEEPALIVES.items():
                cursor.execute(f"SET {name} = {value}")
        return connection

    def _opened(self) -> psycopg2.extensions.connection:
        if self._connection is None:
            raise RuntimeError("a destination is used only while its lock is held")
        return self._connection

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        try:
            with self._opened().cursor() as cursor:
                yield cursor
        except self._errors as error:
            raise self._failed(error) from None

    def _failed(self, error: Exception) -> DestinationFailed:
        return DestinationFailed(f"PostgreSQL: {clean(str(error), self.secrets)}")
