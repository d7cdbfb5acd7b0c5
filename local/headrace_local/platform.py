"""The whole platform on this machine: emulator, Postgres and services, started and ended in order.

The services are the same processes with the same settings as in the cloud; only endpoints differ.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets
import shutil
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from headrace_local import emulator, postgres, stack
from headrace_local.errors import UserError
from headrace_local.ports import LOOPBACK, chosen_port
from headrace_local.provision import Clients, Provisioned, provision
from headrace_local.resources import DEFAULT_PREFIX, REGION, VISIBILITY_SECONDS, describe
from headrace_local.stack import Stack
from headrace_local.supervisor import Listener, Process, Program

INBOX_SERVICES: Final = ("router", "loader", "logger")
SERVICES: Final = (*INBOX_SERVICES, "api")

API_PORT: Final = 8080

# Short polls: the one in flight is what an orderly end waits for.
_POLL_SECONDS: Final = 1
_SERVICE_STOP_SECONDS: Final = 10


@dataclass(frozen=True)
class PlatformOptions:
    """How to run it.

    Args:
        data_dir: holds `stack.json` and the logs; the data too, unless `ephemeral`.
        scale: service -> processes; one each where not said. The API has one.
        service_env: service -> additional environment, for tests that bend a setting.
        on_line, on_event: hear every output line, and what happens to processes.
    """

    data_dir: Path = Path(stack.DATA_FOLDER)
    ephemeral: bool = False
    scale: Mapping[str, int] = field(default_factory=dict)
    api_port: int | None = None
    aws_port: int | None = None
    pg_port: int | None = None
    prefix: str = DEFAULT_PREFIX
    fsync: bool = True
    service_env: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    on_line: Callable[[str, str], None] = lambda _name, _line: None
    on_event: Callable[[str], None] = lambda _message: None


@dataclass(frozen=True)
class _Ports:
    api: int
    aws: int
    pg: int


class Platform:
    """Starts everything, keeps it running, and ends it without leaving a process behind."""

    def __init__(self, options: PlatformOptions) -> None:
        self.options = options
        self.processes: list[Process] = []
        self._listener = Listener(options.on_line, options.on_event, self._write_stack)
        self._folder = options.data_dir.resolve()
        self._data = self._folder
        self._lock: IO[str] | None = None
        self._stack: Stack | None = None
        self._stopped = asyncio.Event()

    async def start(self) -> Stack:
        """Returns when everything is ready and `stack.json` is written.

        Raises:
            UserError: the data folder is in use, or a wanted port is taken.
            PlatformError: a process did not start; everything else is stopped again.
        """
        try:
            return await self._start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Ends the services first, then Postgres, then the emulator; may be called again."""
        stack.remove(self._folder) if self._lock is not None else None
        services = [
            process for process in self.processes if process.name not in ("aws", "postgres")
        ]
        await asyncio.gather(*(process.stop() for process in services))
        await asyncio.gather(*(process.stop() for process in self.processes))
        if self.options.ephemeral and self._data != self._folder:
            shutil.rmtree(self._data, ignore_errors=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None
        self._stopped.set()

    def kill(self) -> None:
        """Ends every process at once, for the second Ctrl-C."""
        for process in self.processes:
            process.kill()

    async def wait(self) -> None:
        """Until `stop` has been called and is through."""
        await self._stopped.wait()

    async def _start(self) -> Stack:
        ports = _Ports(
            api=chosen_port(self.options.api_port, "--api-port", preferred=API_PORT),
            aws=chosen_port(self.options.aws_port, "--aws-port"),
            pg=chosen_port(self.options.pg_port, "--pg-port"),
        )
        self._take_folder()
        provisioned, dsn = await self._start_infrastructure(ports)
        await asyncio.gather(
            *(self._supervise(program) for program in self._services(ports, provisioned, dsn))
        )
        self._stack = self._described(ports, provisioned, dsn)
        self._write_stack()
        return self._stack

    def _take_folder(self) -> None:
        (self._folder / "logs").mkdir(parents=True, exist_ok=True)
        self._lock = (self._folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            self._lock = None
            raise UserError(
                "A platform is already running with this data folder.",
                str(self._folder),
                "Use that one (headrace status), stop it, or choose another folder: "
                "headrace up --data DIR",
            ) from None
        if self.options.ephemeral:
            self._data = Path(tempfile.mkdtemp(prefix="headrace-"))

    async def _start_infrastructure(self, ports: _Ports) -> tuple[Provisioned, str]:
        async def provisioned() -> None:
            # Killed and restarted, the emulator comes back without queues and rules.
            await asyncio.to_thread(self._provision, ports)

        folder = None if self.options.ephemeral else self._data / "aws"
        aws = emulator.emulator(ports.aws, folder, provisioned)
        dsn, _ = await asyncio.gather(self._start_postgres(ports), self._supervise(aws))
        return await asyncio.to_thread(self._provision, ports), dsn

    async def _start_postgres(self, ports: _Ports) -> str:
        cluster = await asyncio.to_thread(postgres.prepare, self._data)
        await self._supervise(postgres.postgres(cluster, ports.pg, fsync=self.options.fsync))
        return cluster.dsn(ports.pg)

    async def _supervise(self, program: Program) -> None:
        process = Process(program, self._folder / "logs", self._listener)
        self.processes.append(process)
        await process.start()

    def _provision(self, ports: _Ports) -> Provisioned:
        import boto3

        session = boto3.Session(
            aws_access_key_id=emulator.ACCESS_KEY_ID,
            aws_secret_access_key=emulator.SECRET_ACCESS_KEY,
            region_name=REGION,
        )
        url = emulator.endpoint(ports.aws)
        clients = Clients(
            s3=session.client("s3", endpoint_url=url),
            sqs=session.client("sqs", endpoint_url=url),
            events=session.client("events", endpoint_url=url),
            dynamodb=session.client("dynamodb", endpoint_url=url),
        )
        return provision(describe(self.options.prefix), clients, emulator.ACCOUNT)

    def _services(self, ports: _Ports, provisioned: Provisioned, dsn: str) -> list[Program]:
        programs = []
        for service in SERVICES:
            count = self.options.scale.get(service, 1)
            for number in range(1, count + 1):
                name = service if number == 1 else f"{service}-{number}"
                env = self._service_env(service, name, ports, provisioned, dsn)
                programs.append(_service(service, name, env))
        return programs

    def _service_env(
        self, service: str, name: str, ports: _Ports, provisioned: Provisioned, dsn: str
    ) -> dict[str, str]:
        names = describe(self.options.prefix)
        mine = {
            "HEADRACE_LOG_FORMAT": "json",
            "HEADRACE_WAREHOUSE_DSN": dsn,
            "HEADRACE_LOG_TABLE": names.log_table.name,
            "HEADRACE_BUS_NAME": names.bus,
            "HEADRACE_DATABASES": "*",
            "HEADRACE_INBOX_URL": provisioned.inboxes.get(service, ""),
            "HEADRACE_POLL_SECONDS": str(_POLL_SECONDS),
            "HEADRACE_VISIBILITY_SECONDS": str(VISIBILITY_SECONDS),
            "HEADRACE_GRACE_SECONDS": str(_SERVICE_STOP_SECONDS - 2),
            "HEADRACE_LIVENESS_FILE": str(self._data / f"{name}.alive"),
            "HEADRACE_API_HOST": LOOPBACK,
            "HEADRACE_API_PORT": str(ports.api),
            "HEADRACE_CURSOR_SECRET": secrets.token_urlsafe(24),
        }
        foreign = ("AWS_", "HEADRACE_")
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(foreign)
        }
        bent = self.options.service_env.get(service, {})
        return {**inherited, **emulator.credentials(ports.aws), **mine, **bent}

    def _write_stack(self) -> None:
        """Writes `stack.json`, again whenever a process has come back with another pid."""
        if self._stack is None:
            return
        pids: dict[str, list[int]] = {}
        for process in self.processes:
            if process.pid is not None:
                pids.setdefault(process.name.partition("-")[0], []).append(process.pid)
        self._stack = self._stack.model_copy(update={"processes": pids})
        stack.write(self._stack, self._folder)

    def _described(self, ports: _Ports, provisioned: Provisioned, dsn: str) -> Stack:
        names = describe(self.options.prefix)
        return Stack(
            api_url=f"http://{LOOPBACK}:{ports.api}",
            aws_endpoint_url=emulator.endpoint(ports.aws),
            aws_region=REGION,
            aws_access_key_id=emulator.ACCESS_KEY_ID,
            aws_secret_access_key=emulator.SECRET_ACCESS_KEY,
            lake_bucket=names.bucket.name,
            bus_name=names.bus,
            log_table=names.log_table.name,
            warehouse_dsn=dsn,
            inboxes=dict(provisioned.inboxes),
            dead_letter_queues=dict(provisioned.dead_letter_queues),
            processes={},
        )


def _service(service: str, name: str, env: Mapping[str, str]) -> Program:
    return Program(
        name=name,
        command=[sys.executable, "-m", f"headrace_{service}"],
        env=env,
        is_ready=_api_ready(env) if service == "api" else _turned(env),
        stop_seconds=_SERVICE_STOP_SECONDS,
    )


def _turned(env: Mapping[str, str]) -> Callable[[], Awaitable[bool]]:
    """The inbox loop has turned since this start: its liveness file is younger."""
    path, started = Path(env["HEADRACE_LIVENESS_FILE"]), time.time()

    def look() -> bool:
        with suppress(FileNotFoundError):
            return path.stat().st_mtime >= started
        return False

    async def is_ready() -> bool:
        return look()

    return is_ready


def _api_ready(env: Mapping[str, str]) -> Callable[[], Awaitable[bool]]:
    url = f"http://{LOOPBACK}:{env['HEADRACE_API_PORT']}/readyz"

    def ask() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    async def is_ready() -> bool:
        return await asyncio.to_thread(ask)

    return is_ready
