"""A real PostgreSQL server for the tests, on a free port of loopback, in a folder that is thrown away.

Its programs come from the Debian package `postgresql`; as root on Debian the package is installed if it is missing.
PostgreSQL refuses to run as root, so it runs as another user then.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2
from tests.localkube import debian
from tests.localkube.ports import free_port

PASSWORD = "canary-password-of-postgres"  # noqa: S105 - of a test
_USERS = ("postgres", "nobody")


class PostgresMissing(Exception):
    """There is no PostgreSQL, and it cannot be installed from here."""


def programs() -> Path:
    """Return the folder of PostgreSQL's programs, installing them where that is possible."""
    found = _found()
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        debian.install("postgresql")
        found = _found()
    if found is None:
        raise PostgresMissing("PostgreSQL's programs are not here: install the package postgresql")
    return found


def _found() -> Path | None:
    folders = [path.parent for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))]
    on_path = shutil.which("initdb")
    return folders[-1] if folders else Path(on_path).resolve().parent if on_path else None


@contextmanager
def running(reached_at: str | None = None) -> Iterator[str]:
    """Start a server; yield the connection string of its superuser.

    `reached_at` is another address of this computer at which it listens too, for whoever cannot reach loopback.
    """
    folder = Path(tempfile.mkdtemp(prefix="makini-postgres-"))
    user = _unprivileged()
    owner: dict[str, object] = {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    if user is not None:
        os.chown(folder, user.pw_uid, user.pw_gid)
    password = folder / "password"
    password.write_text(PASSWORD)
    password.chmod(0o644)
    data, port = folder / "data", free_port()
    addresses = ",".join(filter(None, ["127.0.0.1", reached_at]))
    settings = f"-c listen_addresses={addresses} -c unix_socket_directories= -p {port} -c fsync=off"
    control = [str(programs() / "pg_ctl"), "-D", str(data), "-w", "-s"]
    log = folder / "log"
    try:
        subprocess.run(
            [
                programs() / "initdb",
                "-D",
                data,
                "-U",
                "makini",
                "-A",
                "scram-sha-256",
                f"--pwfile={password}",
                "-E",
                "UTF8",
            ],
            check=True,
            capture_output=True,
            cwd=folder,
            **owner,
        )
        if reached_at:
            with (data / "pg_hba.conf").open("a") as rules:
                rules.write("host all all 0.0.0.0/0 scram-sha-256\n")
        subprocess.run([*control, "-o", settings, "-l", str(log), "start"], check=True, cwd=folder, **owner)
        try:
            yield f"postgresql://makini:{PASSWORD}@127.0.0.1:{port}/postgres"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], check=True, cwd=folder, **owner)
    finally:
        shutil.rmtree(folder)


def _unprivileged() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    for name in _USERS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise PostgresMissing("PostgreSQL does not run as root, and there is no other user")


def query(dsn: str, sql: str, *values: object) -> list[tuple[object, ...]]:
    """Run one statement and return its rows."""
    connection = psycopg2.connect(dsn)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(sql, values)
            return list(cursor.fetchall()) if cursor.description else []
    finally:
        connection.close()
