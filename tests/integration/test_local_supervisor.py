"""Supervised children are real processes here: restarted, ended, and never left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psutil
import pytest

from headrace_local import log_files, supervisor
from headrace_local.errors import PlatformError
from headrace_local.supervisor import Listener, Process, Program
from tests.patience import patience

pytestmark = pytest.mark.integration

WITHIN_SECONDS = 20
STAYS = "import time; print('here', flush=True); time.sleep(600)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + STAYS


@dataclass
class Heard:
    """What a supervisor told."""

    lines: list[tuple[str, str]] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    respawns: int = 0

    def listener(self) -> Listener:
        def respawned() -> None:
            self.respawns += 1

        return Listener(lambda *line: self.lines.append(line), self.events.append, respawned)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def quick_restarts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "RESTART_SECONDS", (0.01, 0.02, 0.04))


async def eventually(check: Callable[[], object]) -> None:
    async with asyncio.timeout(patience(WITHIN_SECONDS)):
        while not check():  # noqa: ASYNC110 - of processes
            await asyncio.sleep(0.01)


def program(
    code: str,
    *,
    is_ready: Callable[[], Awaitable[bool]] | None = None,
    ready_seconds: float = WITHIN_SECONDS,
    stop_seconds: float = WITHIN_SECONDS,
    restarted: Callable[[], Awaitable[None]] | None = None,
) -> Program:
    async def at_once() -> bool:
        return True

    return Program(
        name="child",
        command=[sys.executable, "-S", "-c", code],
        env=dict(os.environ),
        is_ready=is_ready or at_once,
        ready_seconds=ready_seconds,
        stop_seconds=stop_seconds,
        restarted=restarted,
    )


@asynccontextmanager
async def supervised(what: Program, logs: Path, heard: Heard) -> AsyncIterator[Process]:
    process = Process(what, logs, heard.listener())
    try:
        await process.start()
        yield process
    finally:
        await process.stop()


def pid_of(process: Process) -> int:
    assert process.pid is not None
    return process.pid


async def test_output_is_told_by_name_and_kept(tmp_path: Path, heard: Heard) -> None:
    async with supervised(program(STAYS), tmp_path, heard):
        await eventually(lambda: heard.lines)
    assert heard.lines == [("child", "here")]
    assert (tmp_path / "child.log").read_text() == "here\n"


async def test_killed_child_is_restarted_and_told_of(
    tmp_path: Path, heard: Heard, quick_restarts: None
) -> None:
    async with supervised(program(STAYS), tmp_path, heard) as process:
        await eventually(lambda: heard.lines)
        first = pid_of(process)
        os.kill(first, signal.SIGKILL)
        await eventually(lambda: heard.respawns == 1 and process.running)
        assert process.pid != first
        assert process.restarts == 1
        assert heard.events[0] == (
            "child ended (SIGKILL); restarted in 0.01 s; its last line: here"
        )
        await eventually(lambda: f"child runs again (pid {process.pid})" in heard.events)


def has_successor(process: Process, killed: int) -> bool:
    return process.pid not in (None, killed)


async def pauses_of_deaths(process: Process, heard: Heard, deaths: int) -> list[str]:
    for _ in range(deaths):
        killed = pid_of(process)
        os.kill(killed, signal.SIGKILL)
        await eventually(partial(has_successor, process, killed))
    told = [event for event in heard.events if " ended (SIGKILL)" in event]
    return [event.partition("restarted in ")[2].partition(" s")[0] for event in told]


async def test_child_that_keeps_dying_is_restarted_ever_more_slowly(
    tmp_path: Path, heard: Heard, quick_restarts: None
) -> None:
    async with supervised(program(STAYS), tmp_path, heard) as process:
        pauses = await pauses_of_deaths(process, heard, 4)
    assert pauses == ["0.01", "0.02", "0.04", "0.04"]


async def test_child_that_was_healthy_for_long_is_restarted_soon_again(
    tmp_path: Path, heard: Heard, quick_restarts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "HEALTHY_SECONDS", 0)
    async with supervised(program(STAYS), tmp_path, heard) as process:
        pauses = await pauses_of_deaths(process, heard, 3)
    assert pauses == ["0.01"] * 3


async def test_what_depends_on_a_child_is_put_right_after_its_restart(
    tmp_path: Path, heard: Heard, quick_restarts: None
) -> None:
    done = asyncio.Event()

    async def put_right() -> None:
        done.set()

    async with supervised(program(STAYS, restarted=put_right), tmp_path, heard) as process:
        assert not done.is_set()
        os.kill(pid_of(process), signal.SIGKILL)
        async with asyncio.timeout(WITHIN_SECONDS):
            await done.wait()


async def test_child_that_ends_at_its_start_is_told_of_and_not_restarted(
    tmp_path: Path, heard: Heard
) -> None:
    async def never() -> bool:
        return False

    dies = program("import sys; sys.exit('HEADRACE_BUS_NAME is missing.')", is_ready=never)
    with pytest.raises(PlatformError) as raised:
        async with supervised(dies, tmp_path, heard):
            pass
    assert "ended at its start (exit status 1): HEADRACE_BUS_NAME is missing." in raised.value.what
    assert raised.value.where == str(tmp_path / "child.log")
    assert heard.respawns == 0
    assert heard.events == []


async def test_child_that_does_not_become_ready_is_given_up(tmp_path: Path, heard: Heard) -> None:
    async def never() -> bool:
        return False

    sleeps = program(STAYS, is_ready=never, ready_seconds=0.2)
    process = Process(sleeps, tmp_path, heard.listener())
    with pytest.raises(PlatformError, match="did not become ready within"):
        await process.start()
    pid = pid_of(process)
    await process.stop()
    assert not psutil.pid_exists(pid)


async def test_program_that_is_not_there_is_told_of(tmp_path: Path, heard: Heard) -> None:
    missing = Program("child", [str(tmp_path / "nothing")], {}, is_ready=program("").is_ready)
    with pytest.raises(PlatformError, match="cannot be started"):
        await Process(missing, tmp_path, heard.listener()).start()


async def test_child_that_does_not_hear_the_gentle_signal_is_killed(
    tmp_path: Path, heard: Heard
) -> None:
    async with supervised(program(STUBBORN, stop_seconds=0.2), tmp_path, heard) as process:
        await eventually(lambda: heard.lines)
        pid = pid_of(process)
    assert not psutil.pid_exists(pid)
    assert not process.running


async def test_stop_does_not_wait_for_a_back_off(
    tmp_path: Path, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "RESTART_SECONDS", (600,))
    async with supervised(program(STAYS), tmp_path, heard) as process:
        os.kill(pid_of(process), signal.SIGKILL)
        await eventually(lambda: heard.events)
        started = time.monotonic()
    assert time.monotonic() - started < patience(WITHIN_SECONDS)
    assert heard.respawns == 0


async def test_very_long_line_does_not_end_the_listening(tmp_path: Path, heard: Heard) -> None:
    code = f"print('x' * {3 * 1_048_576}); print('after', flush=True); " + STAYS
    async with supervised(program(code), tmp_path, heard):
        await eventually(lambda: ("child", "here") in heard.lines)
    assert ("child", "after") in heard.lines


async def test_log_is_bounded_while_its_process_runs(tmp_path: Path, heard: Heard) -> None:
    lines, length = 3 * log_files.MOST_BYTES // 500_000, 500_000
    code = f"for n in range({lines}): print('x' * {length}, flush=True)\n{STAYS}"
    async with supervised(program(code), tmp_path, heard):
        await eventually(lambda: ("child", "here") in heard.lines)
        log, before = tmp_path / "child.log", tmp_path / "child.log.1"
        assert log.read_text().endswith("here\n")
        for one in (log, before):
            assert one.stat().st_size <= log_files.MOST_BYTES + length + 1
            assert one.stat().st_mode & 0o777 == 0o600


PARENT = """
import asyncio, sys
from pathlib import Path
from headrace_local.supervisor import Listener, Process, Program

async def main():
    async def ready(): return True
    program = Program("child", [sys.executable, "-S", "-c", sys.argv[2]], {}, ready)
    process = Process(program, Path(sys.argv[1]), Listener(lambda *_: None, print, lambda: None))
    await process.start()
    print(process.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of a parent's end")
async def test_child_of_a_killed_supervisor_ends(tmp_path: Path) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", PARENT, str(tmp_path), STUBBORN),
        stdout=asyncio.subprocess.PIPE,
    )
    assert parent.stdout is not None
    child = psutil.Process(int(await parent.stdout.readline()))
    parent.kill()
    await parent.wait()
    await eventually(lambda: not psutil.pid_exists(child.pid) or child.status() == "zombie")
