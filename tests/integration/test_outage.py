"""The warehouse is away, at the start and later: the loader waits, and no drop is lost for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from structlog.testing import capture_logs

from headrace_shared import backoff
from tests.real_parts import AwsStack
from tests.running_loader import Server, running_loader, until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

MAX_RECEIVES = 2
DROPS = 12


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    # As root, Postgres runs as another user, who may not enter pytest's own folder.
    with TemporaryDirectory(prefix="headrace-test-") as folder:
        made = Server(Path(folder))
        yield made
        await made.kill()


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace_shared.backoff.RELEASE_SECONDS", 3.0)
    monkeypatch.setattr("headrace_shared.backoff.PROBE_CAP_SECONDS", 0.3)
    monkeypatch.setattr("headrace_loader.pool._WAIT_SECONDS", 3.0)
    monkeypatch.setattr("headrace_loader.pool._RECONNECT_SECONDS", 1.0)


def times(logs: list[Any], event: str) -> int:
    return sum(log["event"] == event for log in logs)


async def test_outage_longer_than_all_receives_loses_no_drop(
    aws_stack: AwsStack, server: Server, tmp_path: Path
) -> None:
    alive = tmp_path / "alive"
    with capture_logs() as logs:
        async with running_loader(
            aws_stack, server.dsn, max_receives=MAX_RECEIVES, liveness_file=alive
        ) as loader:
            await until(lambda: times(logs, "service.start_postponed") >= 2, "it waits")
            assert alive.exists()
            assert not loader.task.done()
            await server.start()
            await loader.contract("dev.users")

            await server.kill()
            for number in range(DROPS):
                loader.land(f"dev/append/users/{number}.csv", f"id\n{number}\n")
                loader.land(f"dev/append/users/{number}.json", f'{{"id": {number}}}')
            await until(lambda: times(logs, "warehouse.lost") >= 1, "the outage is seen")
            # Without the gate, MAX_RECEIVES tries of 3 s would be over long before.
            await until(lambda: times(logs, "warehouse.awaited") >= 8, "it asks again and again")
            assert loader.messages(loader.dead_letters) == 0
            assert loader.messages(loader.inbox) == 2 * DROPS

            await server.start()
            await until(lambda: loader.messages(loader.inbox) == 0, "all are loaded")
            assert loader.messages(loader.dead_letters) == 0
    released = [log for log in logs if log.get("outcome") == "released"]
    assert released, "what was in hand went back"
    assert max(log["attempt"] for log in released) < MAX_RECEIVES
    assert times(logs, "warehouse.regained") == times(logs, "warehouse.lost")
    assert backoff.RELEASE_SECONDS == 3.0
