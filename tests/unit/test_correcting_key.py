"""Where a file with corrected rows goes."""

from __future__ import annotations

from headrace_local.api_client import DropItem
from headrace_local.quarantined import correcting_key
from headrace_shared.log_schema import State
from headrace_shared.testing.builders import a_drop


def test_corrected_rows_go_behind_the_values_of_their_key() -> None:
    for file, folders in (("x/dt=2026-01-01/a.csv.gz", "dt=2026-01-01/"), ("x/a.csv", "")):
        drop = a_drop(f"dev/append/users/{file}")
        item = DropItem(
            drop_id=drop.drop_id,
            bucket=drop.bucket,
            key=drop.key,
            file=file,
            state=State.LOADED,
            landed_timestamp=drop.landed_timestamp,
        )
        assert correcting_key(item) == f"{folders}a.corrects-{drop.drop_id}.csv"
