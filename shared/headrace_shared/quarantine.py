"""Where the quarantine keeps the bad rows of a drop, and in which form."""

from __future__ import annotations

from typing import Final

from headrace_shared.drop import Drop

FORMAT: Final = "headrace-quarantine/1"
"""The first line of each file says it."""


def quarantine_key(drop: Drop) -> str:
    """The key of a drop's file in the quarantine's bucket; one for all its runs."""
    return f"{drop.db_name}/{drop.table_name}/{drop.drop_id}.jsonl.gz"
