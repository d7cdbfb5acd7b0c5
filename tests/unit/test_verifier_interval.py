"""What the verifier's own log tells of a verification."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from headrace_shared.metrics import embedded
from headrace_verifier import interval
from headrace_verifier.settings import VerifierSettings
from headrace_verifier.verification import Tally

SETTINGS: dict[str, Any] = {
    "lake_bucket": "lake",
    "log_table": "log",
    "bus_name": "headrace",
    "warehouse_dsn": "postgresql://nobody@127.0.0.1/none",
}


async def test_finished_verification_tells_its_differences_as_metrics(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def verify(*_: object, **__: object) -> Tally:
        return Tally(found=Counter(lost=3, changed=1), repaired=Counter(lost=3))

    monkeypatch.setattr(interval, "verify", verify)
    every_hour = interval.Interval(VerifierSettings(**SETTINGS), timedelta(hours=1))
    with capture_logs() as lines:
        await cast("Any", every_hour)._once()
    told = embedded({**lines[0], "timestamp": "2026-11-20T12:00:00Z"}, "prod")
    assert (told["differences"], told["differences_left"]) == (4, 1)
