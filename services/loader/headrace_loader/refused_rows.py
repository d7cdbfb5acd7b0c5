"""Finds the rows that the table refuses, for a rule that is not in the contract: a foreign key, a
check, a trigger, a partition that is not there.

Postgres names one such row at most, and none for a rule that it checks at the end. So the staged
rows are inserted in ever smaller parts, in their order, each in a savepoint: of n rows k bad ones
take about k * log2(n / k) statements, and every row is inserted about log2(k) + 2 times. All of
that is rolled back; then the rows that were found are left out.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Final

from headrace_loader.files import Rows
from headrace_loader.sifting.batches import Fault, by_number
from headrace_loader.sifting.verdict import Found, refusal
from headrace_loader.sqlstate import REFUSED_BY_TABLE, CopyRefusedError
from headrace_loader.staging import Staging
from headrace_loader.whole_records import records_at_fault
from headrace_shared.contract import OnBadRows
from headrace_shared.errors import PermanentError
from headrace_shared.logging import get_logger
from headrace_shared.reasons import Reason

_log = get_logger(__name__)

SECONDS: Final = 300.0
"""How long the rows of one drop are searched."""

MOST_OF_REJECTED: Final = 100
"""How many refused rows are named where the contract rejects the file for a single one."""

_FOREIGN_KEY: Final = "23503"


@dataclass(slots=True)
class _Refused:
    """The refused rows of one search, by their line numbers.

    Args:
        complete: every row was looked at.
    """

    rows: dict[int, CopyRefusedError] = field(default_factory=dict)
    complete: bool = True


class RefusedRows:
    """The search in the staged rows of one drop.

    Args:
        seconds: how long it may take.
    """

    def __init__(self, staging: Staging, policy: OnBadRows, *, seconds: float = SECONDS) -> None:
        self._staging = staging
        self._policy = policy
        self._seconds = seconds
        self._until = time.monotonic() + seconds

    async def without(
        self, found: Found, file: Rows, prepare: Callable[[], Awaitable[object]]
    ) -> Found:
        """Leaves the rows out that the table refuses; answers with what the file holds then.

        A row that is left out may let another one of its key count, so the search goes on until
        nothing is refused.

        Args:
            prepare: does what comes before the rows are inserted.

        Raises:
            PermanentError: not every row was looked at in time.
        """
        if refusal(found, self._policy) is not None:
            return found  # rejected for its bad rows, whatever the others are like
        await self._staging.index_lines()
        while found.complete:
            refused = await self._search(prepare, self._most(found))
            if not refused.rows and refused.complete:
                return found
            found = await self._left_out(found, file, refused)
        return found

    def _most(self, found: Found) -> int:
        if self._policy.mode == "reject":
            return MOST_OF_REJECTED
        return self._policy.max_rows - len(found.bad)

    async def _left_out(self, found: Found, file: Rows, refused: _Refused) -> Found:
        faults = {line: [_fault(error)] for line, error in refused.rows.items()}
        records = await records_at_fault(self._staging, file, faults)
        lines = [line for one in records for line in one.lines]
        _log.info("rows.refused", rows=len(lines), complete=refused.complete)
        await self._staging.leave_out(lines)
        return replace(
            found,
            rows=found.rows - len(lines),
            bad=by_number([*found.bad, *(one.bad for one in records)]),
            complete=refused.complete,
        )

    async def _search(self, prepare: Callable[[], Awaitable[object]], most: int) -> _Refused:
        """One look at all rows; leaves staging and table as they are."""
        refused = _Refused()
        async with self._staging.savepoint(keep=False):
            await prepare()
            lines = await self._staging.lines()
            await self._staging.check_at_once()
            await self._bisect(lines, refused, most)
            if refused.complete:
                await self._retry_foreign_keys(refused)
        return refused

    async def _bisect(self, lines: range, refused: _Refused, most: int) -> None:
        waiting = [lines] if lines else []
        while waiting:
            if len(refused.rows) > most:
                refused.complete = False
                return
            if time.monotonic() > self._until:
                raise _out_of_time(refused, self._seconds)
            part = waiting.pop()
            error = await self._refusal(part)
            if error is None:
                continue
            if len(part) == 1:
                refused.rows[part.start] = error
                continue
            middle = part.start + len(part) // 2
            # The earlier half is inserted first: of two rows that exclude each other it has the
            # one that stays.
            waiting += [range(middle, part.stop), range(part.start, middle)]

    async def _retry_foreign_keys(self, refused: _Refused) -> None:
        """A row may refer to a later row of the same file, which is in the table by now."""
        again = True
        while again:
            again = False
            referring = [
                line for line, error in refused.rows.items() if error.sqlstate == _FOREIGN_KEY
            ]
            for line in sorted(referring):
                if await self._refusal(range(line, line + 1)) is None:
                    del refused.rows[line]
                    again = True

    async def _refusal(self, lines: range) -> CopyRefusedError | None:
        try:
            async with self._staging.savepoint():
                await self._staging.insert(lines)
        except CopyRefusedError as error:
            return error
        return None


def _fault(error: CopyRefusedError) -> Fault:
    return Fault(REFUSED_BY_TABLE, error.first.reason, error.first.column, None)


def _out_of_time(refused: _Refused, seconds: float) -> PermanentError:
    first = next(iter(refused.rows.values()), None)
    why = f"; one of them {first.first.reason}" if first else ""
    return PermanentError(
        Reason(
            code="refused_by_table",
            message=f"The table refuses rows of the file, and they were not all found within "
            f"{seconds:g} seconds ({len(refused.rows):,} were){why}.",
            remedy="Nothing of the file is loaded. Correct the file, upload it in smaller parts, "
            "or change the rule in the table and replay the drop.",
        )
    )
