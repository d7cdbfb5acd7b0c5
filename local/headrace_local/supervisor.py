"""Child processes: started, listened to, restarted when they die, and never left behind.

Each child has a session of its own, so that Ctrl-C reaches only the supervisor, which ends the
children in order; and on Linux the kernel signals them should the supervisor itself be killed.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import pwd
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from headrace_local.errors import PlatformError
from headrace_local.log_files import LogFile

RESTART_SECONDS: Final = (1, 2, 4, 8, 15, 30)
HEALTHY_SECONDS: Final = 60

_LAST_WORDS_SECONDS: Final = 2
_READY_POLL_SECONDS: Final = 0.03
_LINE_LIMIT: Final = 1_048_576
_PR_SET_PDEATHSIG: Final = 1
"""https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html"""

_TAIL_LINES: Final = 5


@dataclass(frozen=True)
class Program:
    """What to run, how to know that it is ready, and how to end it.

    `orphan_signal` is what the kernel sends should the supervisor die; `user` is the system user
    to run as, None for the present one. `ready_seconds` is long: on a busy machine a process waits
    for its turn, and its death is noticed at once. `sockets` are open in the child, under the same
    numbers.
    """

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    is_ready: Callable[[], Awaitable[bool]]
    ready_seconds: float = 120
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 15
    orphan_signal: signal.Signals = signal.SIGKILL
    user: str | None = None
    restarted: Callable[[], Awaitable[None]] | None = None
    sockets: Sequence[socket.socket] = ()


@dataclass(frozen=True)
class Listener:
    """Who wants to hear: every output line (with its process's name), every event of a process's
    life as a sentence, and that a process has come back with another pid."""

    line: Callable[[str, str], None]
    event: Callable[[str], None]
    respawned: Callable[[], None]


class Process:
    """One supervised child."""

    def __init__(self, program: Program, logs: Path, listener: Listener) -> None:
        self.program = program
        self.restarts = 0
        self._logs = logs
        self._listener = listener
        self._child: asyncio.subprocess.Process | None = None
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._stopping = asyncio.Event()
        self._was_ready = False
        self._watch: asyncio.Task[None] | None = None
        self._settling: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """Unique among the processes of a platform: `loader` or `loader-2`."""
        return self.program.name

    @property
    def running(self) -> bool:
        """Whether the child lives at this moment."""
        return self._child is not None and self._child.returncode is None

    @property
    def pid(self) -> int | None:
        """The child's process id while it runs."""
        return self._child.pid if self._child is not None and self.running else None

    async def start(self) -> None:
        """Returns when the child is ready.

        Raises:
            PlatformError: it died or did not become ready in time; says its last words.
        """
        path = self._logs / f"{self.name}.log"
        try:
            child = await self._spawn()
        except OSError as error:
            raise PlatformError(
                f"{self.name} cannot be started: {error.strerror}.",
                str(self.program.command[0]),
                "headrace doctor checks what the platform needs.",
            ) from error
        self._watch = asyncio.create_task(self._run(child, path))
        deadline = time.monotonic() + self.program.ready_seconds
        while not await self.program.is_ready():
            if not self.running:
                # Its last words may still be on their way through the pipe.
                await asyncio.wait({self._watch}, timeout=_LAST_WORDS_SECONDS)
                raise self._not_ready()
            if time.monotonic() > deadline:
                raise self._not_ready()
            await asyncio.sleep(_READY_POLL_SECONDS)
        self._was_ready = True

    async def stop(self) -> None:
        """Ends the child: the gentle signal first, SIGKILL when it takes too long."""
        self._stopping.set()
        if self._watch is None:
            return
        self._signal(self.program.stop_signal)
        done, _ = await asyncio.wait({self._watch}, timeout=self.program.stop_seconds)
        if not done:
            self.kill()
            await asyncio.wait({self._watch})

    def kill(self) -> None:
        """Ends the child, and what it may have started itself, at once."""
        self._stopping.set()
        if self.pid is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self._child is not None and self._child.returncode is None:
            with suppress(ProcessLookupError):
                self._child.send_signal(number)

    async def _spawn(self) -> asyncio.subprocess.Process:
        self._child = await asyncio.create_subprocess_exec(
            *self.program.command,
            env=dict(self.program.env),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            limit=_LINE_LIMIT,
            pass_fds=[one.fileno() for one in self.program.sockets],
            **as_user(self.program.user),
            preexec_fn=_die_with_parent(self.program.orphan_signal),
        )
        if self._stopping.is_set():  # the stop came while the child was being born
            self._signal(self.program.stop_signal)
        return self._child

    async def _run(self, child: asyncio.subprocess.Process, path: Path) -> None:
        failures = 0
        with LogFile(path) as log:
            while True:
                born = time.monotonic()
                await self._listen(child, log)
                status = await child.wait()
                if self._stopping.is_set() or not self._was_ready:
                    return
                failures = 1 if time.monotonic() - born > HEALTHY_SECONDS else failures + 1
                pause = RESTART_SECONDS[min(failures, len(RESTART_SECONDS)) - 1]
                self._tell_of_death(status, pause)
                reborn = await self._respawn(pause)
                if reborn is None:
                    return
                child = reborn

    async def _respawn(self, pause: float) -> asyncio.subprocess.Process | None:
        """The child's successor; None if everything is to end."""
        while not await self._is_stopping_within(pause):
            try:
                child = await self._spawn()
            except OSError as error:  # no memory, or no file handles, at this moment
                pause = RESTART_SECONDS[-1]
                self._listener.event(f"{self.name} cannot be started: {error}")
                continue
            self.restarts += 1
            self._listener.respawned()
            self._settling = asyncio.create_task(self._settle_in())
            return child
        return None

    async def _is_stopping_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
        return self._stopping.is_set()

    async def _settle_in(self) -> None:
        """Once a restarted child is ready, what depends on it is put right."""
        try:
            while self.running and not await self.program.is_ready():  # noqa: ASYNC110 - of a process
                await asyncio.sleep(_READY_POLL_SECONDS)
            if not self.running:
                return
            if self.program.restarted is not None:
                await self.program.restarted()
        except Exception as error:  # noqa: BLE001 - the platform goes on, and the user is told
            self._listener.event(f"{self.name} is back, but not as it should be: {error}")
        else:
            self._listener.event(f"{self.name} runs again (pid {self.pid})")

    async def _listen(self, child: asyncio.subprocess.Process, log: LogFile) -> None:
        assert child.stdout is not None
        while True:
            try:
                raw = await child.stdout.readline()
            except ValueError:  # a line longer than the limit; the rest of it comes next
                continue
            if not raw:
                return
            line = raw.decode(errors="replace").rstrip("\n")
            self._tail.append(line)
            # A full disk must not stop the listening: the child would block on its full pipe.
            with suppress(OSError):
                log.write(line)
            self._listener.line(self.name, line)

    def _tell_of_death(self, status: int, pause: float) -> None:
        last = f"; its last line: {self._tail[-1]}" if self._tail else ""
        self._listener.event(
            f"{self.name} ended ({how_it_ended(status)}); restarted in {pause:g} s{last}"
        )

    def _not_ready(self) -> PlatformError:
        status = self._child.returncode if self._child is not None else None
        fate = (
            f"did not become ready within {self.program.ready_seconds:g} seconds"
            if status is None
            else f"ended at its start ({how_it_ended(status)})"
        )
        words = " | ".join(self._tail) or "it said nothing"
        return PlatformError(
            f"{self.name} {fate}: {words}",
            str(self._logs / f"{self.name}.log"),
            "Read that log; headrace doctor checks what the platform needs.",
        )


def how_it_ended(status: int) -> str:
    """`exit status 1`, or the name of the signal."""
    if status >= 0:
        return f"exit status {status}"
    with suppress(ValueError):
        return signal.Signals(-status).name
    return f"signal {-status}"


def as_user(name: str | None) -> dict[str, Any]:
    """What subprocess takes to run as another user wholly: not in this one's groups either."""
    if name is None:
        return {}
    return {"user": name, "group": pwd.getpwnam(name).pw_gid, "extra_groups": []}


def _die_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    libc, parent = ctypes.CDLL(None, use_errno=True), os.getpid()

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(number))
        if os.getppid() != parent:  # it died before the kernel was asked
            os.kill(os.getpid(), signal.SIGKILL)

    return ask
