"""What the logger tells in numbers is true: once each, and no time that nobody waited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from structlog.testing import capture_logs

from headrace_logger.handler import LoggerHandler
from headrace_logger.states import Item, Update, Written, applied
from headrace_shared.facts import (
    ContractApplied,
    DropRejected,
    DropRouted,
    Fact,
    LoadFailed,
    LoadSucceeded,
    ReplayRequested,
    Stage,
    now,
)
from headrace_shared.metrics import embedded
from headrace_shared.reasons import Reason
from headrace_shared.testing.builders import EPOCH, a_drop, a_message, an_envelope

DROP = a_drop()
REASON = Reason(code="bad", message="It is bad.")
REQUESTED = round((EPOCH + timedelta(hours=3)).timestamp() * 1000)


class FoldedLog:
    """A `handler.Log` over the pure fold."""

    def __init__(self) -> None:
        self.item: Item = {}

    async def link(self, corrected: object, by: object) -> None:
        raise AssertionError((corrected, by))

    async def write(self, update: Update) -> Written:
        before, self.item = self.item, applied(self.item, update)
        moved = before.get("state_order", -1) < update.order
        return Written(moved, before.get("state") if moved else None)


def at(seconds: float, *, run: int = 0) -> dict[str, Any]:
    return {"drop": DROP, "occurred_at": EPOCH + timedelta(seconds=seconds), "run": run}


def loaded(seconds: float, *, run: int = 0) -> Fact:
    return LoadSucceeded(
        **at(seconds, run=run),
        attempt=1,
        rows_loaded=7,
        rows_quarantined=2,
        bytes=10,
        duration_ms=31,
    )


def given_up(seconds: float) -> Fact:
    return LoadFailed(**at(seconds), attempt=20, final=True, reason=REASON)


async def metrics_of(facts: Sequence[Fact]) -> list[dict[str, Any]]:
    """The values that each fact adds to the metrics, but for its own lag."""
    handler = LoggerHandler(FoldedLog(), expiry_days=0)
    with capture_logs() as lines:
        for fact in facts:
            await handler.handle(a_message(an_envelope(fact)))
    stamp = {"timestamp": "2026-11-20T12:00:00Z"}
    members = [embedded({**line, **stamp}, "prod") for line in lines]
    return [{name: one[name] for name in one if name not in _BESIDE} for one in members]


_BESIDE = {"stack", "_aws", "log_lag_ms"}
WHOLE = {"drops": 1, "rows_loaded": 7, "rows_quarantined": 2, "bytes_loaded": 10}


async def test_first_load_tells_all() -> None:
    told = await metrics_of([DropRouted(**at(0.1)), loaded(0.84)])
    assert told == [{}, {**WHOLE, "landing_to_loaded_ms": 840}]


async def test_line_of_a_written_event_has_its_lag() -> None:
    sent_at = now() - timedelta(seconds=7)
    message = replace(a_message(an_envelope(loaded(1))), sent_at=sent_at)
    with capture_logs() as lines:
        await LoggerHandler(FoldedLog(), expiry_days=0).handle(message)
    stamp = {"timestamp": "2026-11-20T12:00:00Z"}
    assert 7_000 <= embedded({**lines[-1], **stamp}, "prod")["log_lag_ms"] < 60_000


async def test_repeated_and_late_facts_tell_nothing() -> None:
    late = DropRouted(**at(0.1))
    assert (await metrics_of([loaded(1), loaded(1), late]))[1:] == [{}, {}]


async def test_replay_tells_no_time_since_the_landing() -> None:
    replay = ReplayRequested(**at(10_800, run=REQUESTED))
    told = await metrics_of([loaded(1), replay, loaded(10_801, run=REQUESTED)])
    assert told[1:] == [{}, WHOLE]


async def test_redriven_drop_tells_no_time_since_the_landing() -> None:
    told = await metrics_of([given_up(60), loaded(86_400)])
    assert told == [{"drops": 1}, WHOLE]


async def test_retried_drop_tells_its_time() -> None:
    retried = LoadFailed(**at(1), attempt=1, final=False, reason=REASON, retry_in_seconds=2.5)
    assert (await metrics_of([retried, loaded(4)]))[1]["landing_to_loaded_ms"] == 4_000


async def test_contract_tells_its_time_and_no_rows() -> None:
    contract = ContractApplied(**at(2), attempt=1, changes=("made it",), duration_ms=9)
    assert await metrics_of([contract]) == [{"drops": 1, "landing_to_loaded_ms": 2_000}]


async def test_rejected_drop_counts_alone() -> None:
    rejected = DropRejected(**at(2), attempt=1, stage=Stage.TEST, reason=REASON)
    assert await metrics_of([rejected, rejected]) == [{"drops": 1}, {}]
