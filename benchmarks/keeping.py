"""Keeps what was measured in the README, between two marks."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from benchmarks import measures

README: Final = Path(__file__).with_name("README.md")
_END: Final = "<!-- end of figures -->"


def keep(command: str, table: str) -> None:
    """Puts a table, with the day and the machine, in the place of the one before.

    Args:
        command: what measures it, as the README's mark names it.
    """
    begin = f"<!-- figures: {command} -->"
    before, _, rest = README.read_text().partition(begin)
    where = f"{time.strftime('%Y-%m-%d', time.gmtime())}, {measures.machine()}."
    after = rest.partition(_END)[2]
    README.write_text(f"{before}{begin}\n{table.rstrip()}\n\n{where}\n{_END}{after}")
