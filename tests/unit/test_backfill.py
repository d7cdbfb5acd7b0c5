"""What `headrace backfill` prints."""

from __future__ import annotations

from collections import Counter

from headrace_shared.key_rules import KeyRules, LeftAlone
from headrace_verifier.backfill import described
from headrace_verifier.backfilling import Backfill, Counts


def test_counts_are_described_for_people() -> None:
    counts = Counts(
        tables=Counter({"s/append/t": 1_204, "s/append/a": 1}),
        bytes=Counter({"s/append/t": 3 * 2**20}),
        left_alone=Counter(map(str, LeftAlone)),
        known=2,
        bad_keys=1,
        listed=1_213,
    )
    assert described(counts, Backfill(KeyRules(), dry_run=True)).splitlines() == [
        "1 object (0.0 MiB) would be sent to s/append/a",
        "1,204 objects (3.0 MiB) would be sent to s/append/t",
        "1 object left alone: placeholders of folders",
        "1 object left alone: markers and hidden files",
        "1 object left alone: keys that no route fits",
        "1 object with keys that the router rejects",
        "2 objects known as drops already",
        "1,213 versions were listed",
    ]
    assert "objects (3.0 MiB) sent to s/append/t" in described(counts, Backfill(KeyRules()))
