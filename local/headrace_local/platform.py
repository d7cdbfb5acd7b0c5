"""The whole platform on this machine: emulator, Postgres and services, started and ended in order.

The services are the same processes with the same settings as in the cloud; only endpoints differ.
"""

from __future__ import annotations

import asyncio
import fcntl
import secrets
import shutil
import socket
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import IO, Final, TypeVar

from headrace_local import emulator, postgres, stack
from headrace_local.api_keys import local_key, put_key
from headrace_local.errors import CommandError, PlatformError, UserError
from headrace_local.ports import LOOPBACK, Listeners, chosen_port, port_of
from headrace_local.provision import Provisioned, provision
from headrace_local.resources import DEFAULT_PREFIX, REGION, describe
from headrace_local.services import NEED_WAREHOUSE, SERVICES, Surroundings, programs
from headrace_local.stack import Stack
from headrace_local.supervisor import Listener, Process, Program

INFRASTRUCTURE: Final = ("aws", "postgres")

API_PORT: Final = 8080
"""Where people look for the API; `headrace up` and `headrace demo` prefer it."""

_MOST_TRIES: Final = 5

_EPHEMERAL_PREFIX: Final = "headrace-"
_EPHEMERAL_LINK: Final = "ephemeral"

Result = TypeVar("Result")


@dataclass(frozen=True)
class PlatformOptions:
    """How to run it.

    Args:
        data_dir: holds `stack.json` and the logs; the data too, unless `ephemeral`.
        scale: service -> processes; one each where not said. The API has one.
        routes: where keys go that are not laid out as `db_name/action/table_name/file`.
        api_port, aws_port, pg_port: these and no others; None: any that is free.
        preferred_api_port: of the API, where `api_port` is None and this one is free.
        service_env: service -> additional environment, for tests that bend a setting.
        on_line, on_event: hear every output line, and what happens to processes.
    """

    data_dir: Path = Path(stack.DATA_FOLDER)
    ephemeral: bool = False
    scale: Mapping[str, int] = field(default_factory=dict)
    routes: tuple[str, ...] = ()
    api_port: int | None = None
    aws_port: int | None = None
    pg_port: int | None = None
    preferred_api_port: int | None = None
    prefix: str = DEFAULT_PREFIX
    fsync: bool = True
    service_env: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    on_line: Callable[[str, str], None] = lambda _name, _line: None
    on_event: Callable[[str], None] = lambda _message: None


class Platform:
    """Starts everything, keeps it running, and ends it without leaving a process behind."""

    def __init__(self, options: PlatformOptions) -> None:
        self.options = options
        self.processes: list[Process] = []
        self._listener = Listener(options.on_line, options.on_event, self._write_stack)
        self._resources = describe(options.prefix)
        self._key_text, self._key = local_key()
        self._aws_secret = secrets.token_urlsafe(30)
        self._folder = options.data_dir.resolve()
        self._data = self._folder
        self._lock: IO[str] | None = None
        self._listeners: Listeners | None = None
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
        except BaseExceptionGroup as group:
            await self.stop()
            raise _first(group) from None
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Ends the services first, then Postgres and the emulator; may be called again."""
        self._stack = None
        if self._lock is not None:
            stack.remove(self._folder)
        services = [one for one in self.processes if one.name not in INFRASTRUCTURE]
        await asyncio.gather(*(process.stop() for process in services))
        await asyncio.gather(*(process.stop() for process in self.processes))
        self._tidy_up()
        self._stopped.set()

    def kill(self) -> None:
        """Ends every process at once, for the second Ctrl-C."""
        for process in self.processes:
            process.kill()
        if self._lock is not None:
            stack.remove(self._folder)
        self._tidy_up()

    async def wait(self) -> None:
        """Until `stop` has been called and is through."""
        await self._stopped.wait()

    def _tidy_up(self) -> None:
        if self._listeners is not None:
            self._listeners.close()
        if self._lock is not None:
            self._remove_leftover()
            self._lock.close()
            self._lock = None

    async def _start(self) -> Stack:
        self._take_folder()
        options = self.options
        chosen_port(options.pg_port, "--pg-port")
        listeners = self._listeners = Listeners.open(
            api_port=options.api_port,
            preferred_api_port=options.preferred_api_port,
            aws_port=options.aws_port,
        )
        # Each starts as soon as what it needs is there; when one fails, the group ends the rest.
        async with asyncio.TaskGroup() as group:
            aws = group.create_task(self._start_aws(listeners.aws))
            pg = group.create_task(self._start_postgres())
            around = self._surroundings(listeners)
            for service in SERVICES:
                group.create_task(self._start_service(service, around, aws, pg))
        self._stack = self._described(listeners, pg.result())
        self._write_stack()
        return self._stack

    def _take_folder(self) -> None:
        try:
            (self._folder / "logs").mkdir(parents=True, exist_ok=True)
            # Nobody wants it in a repository: it holds data and credentials.
            (self._folder / ".gitignore").write_text("*\n")
            self._lock = (self._folder / "lock").open("w")
        except OSError as error:
            raise UserError(
                f"The data folder cannot be written: {error.strerror}.",
                str(self._folder),
                "Choose another folder: headrace up --data DIR",
            ) from error
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
        self._remove_leftover()
        if self.options.ephemeral:
            self._data = Path(tempfile.mkdtemp(prefix=_EPHEMERAL_PREFIX))
            (self._folder / _EPHEMERAL_LINK).symlink_to(self._data)

    def _remove_leftover(self) -> None:
        """The ephemeral data of this folder's last platform: gone by now, unless it was killed."""
        link = self._folder / _EPHEMERAL_LINK
        if not link.is_symlink():
            return
        left = link.readlink()
        if left.name.startswith(_EPHEMERAL_PREFIX):
            shutil.rmtree(left, ignore_errors=True)
        link.unlink()

    async def _start_aws(self, listener: socket.socket) -> Provisioned:
        url = emulator.endpoint(port_of(listener))

        async def provisioned() -> None:
            # Killed and restarted, the emulator comes back without queues and rules.
            await _in_thread(lambda: self._provision(url))

        folder = None if self.options.ephemeral else self._data / "aws"
        # The import takes as long as the emulator's start.
        boto3 = asyncio.create_task(_in_thread(lambda: import_module("boto3")))
        await self._supervise(emulator.emulator(listener, folder, provisioned, self._aws_secret))
        await boto3
        return await _in_thread(lambda: self._provision(url))

    async def _start_postgres(self) -> str:
        fsync = self.options.fsync and not self.options.ephemeral
        cluster = await _in_thread(lambda: postgres.prepare(self._data, fsync=fsync))
        tries = 1
        while True:
            port = chosen_port(self.options.pg_port, "--pg-port")
            try:
                await self._supervise(postgres.postgres(cluster, port, fsync=self.options.fsync))
            except PlatformError as error:
                # Another program took the port after it was looked at.
                if self.options.pg_port or tries == _MOST_TRIES or not postgres.no_port(error):
                    raise
                tries += 1
            else:
                return cluster.dsn(port)

    async def _start_service(
        self,
        service: str,
        around: Surroundings,
        aws: asyncio.Task[Provisioned],
        pg: asyncio.Task[str],
    ) -> None:
        await _outcome(aws)
        dsn = await _outcome(pg) if service in NEED_WAREHOUSE else None
        found = programs(service, self.options.scale.get(service, 1), around, dsn)
        await asyncio.gather(*(self._supervise(program) for program in found))

    async def _supervise(self, program: Program) -> None:
        process = Process(program, self._folder / "logs", self._listener)
        self.processes.append(process)
        self.processes.sort(key=lambda one: _place(one.name))
        try:
            await process.start()
        except PlatformError:
            await process.stop()
            self.processes.remove(process)
            raise

    def _provision(self, url: str) -> Provisioned:
        clients = emulator.clients(url, self._aws_secret)
        made = provision(self._resources, clients, emulator.ACCOUNT)
        put_key(clients.dynamodb, self._resources.keys_table.name, self._key)
        return made

    def _surroundings(self, listeners: Listeners) -> Surroundings:
        return Surroundings(
            self._resources,
            port_of(listeners.aws),
            self._aws_secret,
            stack.lake_id(self._data),
            listeners.api,
            secrets.token_hex(16),
            self._data,
            self.options.service_env,
            self.options.routes,
        )

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

    def _described(self, listeners: Listeners, dsn: str) -> Stack:
        names, aws_port = self._resources, port_of(listeners.aws)
        return Stack(
            api_url=f"http://{LOOPBACK}:{port_of(listeners.api)}",
            api_key=self._key_text,
            aws_endpoint_url=emulator.endpoint(aws_port),
            aws_region=REGION,
            aws_access_key_id=emulator.ACCESS_KEY_ID,
            aws_secret_access_key=self._aws_secret,
            lake_bucket=names.bucket.name,
            lake_id=stack.lake_id(self._data),
            quarantine_bucket=names.quarantine.name,
            bus_name=names.bus,
            log_table=names.log_table.name,
            keys_table=names.keys_table.name,
            warehouse_dsn=dsn,
            inboxes={
                one.service: emulator.queue_url(aws_port, one.queue.name) for one in names.inboxes
            },
            dead_letter_queues={
                one.service: emulator.queue_url(aws_port, one.dead_letters.name)
                for one in names.inboxes
            },
            processes={},
            routes=self.options.routes,
        )


def _place(name: str) -> int:
    """Where a process stands in lists: in the order in which things flow."""
    return (*INFRASTRUCTURE, *SERVICES).index(name.partition("-")[0])


async def _in_thread(work: Callable[[], Result]) -> Result:
    """As asyncio.to_thread; but when cancelled, ends only after the work has: it may be about to
    write into a folder that is then removed."""
    task = asyncio.create_task(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


async def _outcome(task: asyncio.Task[Result]) -> Result:
    """What another task of the group comes to; cancelling the waiting one leaves it alone."""
    return await asyncio.shield(task)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one error to tell of several: the first that was raised on purpose, else the first."""
    told: BaseException = group.subgroup(CommandError) or group
    while isinstance(told, BaseExceptionGroup):
        told = told.exceptions[0]
    return told
