"""The files of drops, opened as what they are, with their rows on the way into a table."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Protocol

from headrace_loader.columns import unfilled
from headrace_loader.key_values import Extras
from headrace_loader.lake import Lake
from headrace_loader.plain_dates import with_clear_dates
from headrace_loader.sheets import CsvSheet, JsonSheet, Sheet, open_sheet
from headrace_loader.sifting.batches import BadRecord, Batch, Record
from headrace_loader.sifting.copying import loaded_records
from headrace_loader.sifting.faults import with_empty_explained
from headrace_loader.sifting.quarantine import BadRowsKeeper
from headrace_loader.sifting.verdict import Found, refusal
from headrace_loader.transaction import LoadTransaction
from headrace_loader.unpacking import DEFAULT_LIMITS, UnpackLimits
from headrace_shared.contract import Contract
from headrace_shared.drop import Drop
from headrace_shared.errors import PermanentError
from headrace_shared.logging import get_logger

_log = get_logger(__name__)

MEGABYTE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class FileLimits:
    """How far a file is read.

    Args:
        unpacked: what a packed file may become.
        line_bytes: the longest line.
        bad_rows: so many bad rows of a file that is rejected are found.
    """

    unpacked: UnpackLimits = DEFAULT_LIMITS
    line_bytes: int = 16 * MEGABYTE
    bad_rows: int = 10_000


DEFAULT_FILE_LIMITS: Final = FileLimits()


class Rows(Protocol):
    """The rows of one file, on their way."""

    @property
    def extras(self) -> Extras:
        """What the file has beside fields that go into columns one by one."""

    @property
    def most_bad(self) -> int:
        """With more bad rows than this the search for them ends."""

    async def into(self, transaction: LoadTransaction, *, staged: bool) -> Found:
        """Brings them into the table, or into its staging.

        Raises:
            CopyRefusedError: a row cannot be taken.
            NotPlainError, UnclearDatesError: a row has to be validated first.
            TransientError: the lake does not go on.
        """

    async def loaded(self, places: Iterable[int]) -> dict[int, Record]:
        """The records of rows that are in, by the places of all their rows among these, counted
        from 0."""

    async def settle(self, found: Found) -> None:
        """Keeps the bad rows.

        Raises:
            PermanentError: there are more than the contract allows, or there is no good row.
        """

    async def refuse(self, bad: Sequence[BadRecord]) -> None:
        """Keeps rows for which the whole drop is rejected."""


class _Rows:
    """The rows of a file that is opened; it is opened again only if it has to be read twice."""

    def __init__(self, files: Files, drop: Drop, contract: Contract, sheet: Sheet) -> None:
        self._files = files
        self._drop = drop
        self._contract = contract
        self.extras = sheet.extras
        self._header, self._encoding = sheet.header, sheet.encoding
        self._passed: list[int] = []
        self._left_out: set[int] = set()

    @property
    def most_bad(self) -> int:
        """See `Rows`."""
        policy = self._contract.on_bad_rows
        return policy.max_rows if policy.mode == "quarantine" else self._files.limits.bad_rows

    async def loaded(self, places: Iterable[int]) -> dict[int, Record]:
        """See `Rows`."""
        async with self._again() as batches:
            return await loaded_records(batches, self._passed, places)

    async def settle(self, found: Found) -> None:
        """See `Rows`."""
        bad = found.kept
        if not bad:
            return
        reason = refusal(found, self._contract.on_bad_rows)
        _log.info("rows.sifted", rows=found.rows, bad_rows=len(bad), aside=reason is None)
        await self._keep(bad, set_aside=reason is None)
        if reason is not None:
            raise PermanentError(reason)

    async def refuse(self, bad: Sequence[BadRecord]) -> None:
        """See `Rows`."""
        await self._keep(bad, set_aside=False)

    async def _keep(self, bad: Sequence[BadRecord], *, set_aside: bool) -> None:
        if bad and self._files.quarantine is not None:
            await self._files.quarantine.keep(
                self._drop,
                bad,
                header=self._header,
                encoding=self._encoding,
                set_aside=set_aside,
            )

    @asynccontextmanager
    async def _again(self) -> AsyncIterator[AsyncIterator[Batch]]:
        async with self._files.sheet(self._drop, self._contract) as again:
            again.leave_out(self._left_out)
            yield again.batches(self._files.limits.line_bytes)


class PlainRows(_Rows):
    """Every byte goes to COPY as it came; the first row that is bad ends it, and so does one that
    COPY would read otherwise than it is meant."""

    def __init__(self, files: Files, drop: Drop, contract: Contract, sheet: CsvSheet) -> None:
        super().__init__(files, drop, contract, sheet)
        self._sheet = sheet

    async def into(self, transaction: LoadTransaction, *, staged: bool) -> Found:
        """See `Rows`."""
        sheet = self._sheet
        most_bytes = self._files.limits.line_bytes
        blocks = with_clear_dates(
            sheet.plain_blocks(most_bytes), sheet.columns, sheet.dialect, most_bytes
        )
        rows = await transaction.copy(sheet.columns, sheet.dialect, blocks, staged=staged)
        return Found(rows, warnings=unfilled(sheet.absent, rows))


class SiftedRows(_Rows):
    """Every bad row is found; what becomes of them the contract says."""

    def __init__(self, files: Files, drop: Drop, contract: Contract, sheet: Sheet) -> None:
        super().__init__(files, drop, contract, sheet)
        self._sheet = sheet
        self._is_fresh = True

    async def into(self, transaction: LoadTransaction, *, staged: bool) -> Found:
        """See `Rows`."""
        most = self.most_bad
        statement = self._sheet.statement(transaction.destination(staged=staged))
        sifted = await transaction.sift(statement, self._read, most, self._leave_out)
        self._passed = sorted(one.place for one in sifted.passed)
        bad = await transaction.judged(self._sheet.columns, sifted)
        if isinstance(self._sheet, CsvSheet):
            bad = with_empty_explained(bad, self._sheet.dialect)
        warnings = unfilled(self._sheet.absent, sifted.rows + len(bad))
        return Found(sifted.rows, bad[: most + 1], sifted.complete, warnings=warnings)

    def _leave_out(self, records: Collection[int]) -> bool:
        if not self._sheet.leave_out(records):
            return False
        self._left_out.update(records)
        return True

    @asynccontextmanager
    async def _read(self) -> AsyncIterator[AsyncIterator[Batch]]:
        if self._is_fresh:
            self._is_fresh = False
            yield self._sheet.batches(self._files.limits.line_bytes)
            return
        async with self._again() as batches:
            yield batches


class Files:
    """Opens the files of drops.

    Args:
        quarantine: where bad rows are kept; None to keep them nowhere.
    """

    def __init__(
        self,
        lake: Lake,
        quarantine: BadRowsKeeper | None,
        limits: FileLimits = DEFAULT_FILE_LIMITS,
    ) -> None:
        self.lake = lake
        self.quarantine = quarantine
        self.limits = limits

    @asynccontextmanager
    async def rows(self, drop: Drop, contract: Contract, *, sifted: bool) -> AsyncIterator[Rows]:
        """The rows of a drop's file.

        Args:
            sifted: every bad row is found; else the first one ends the load, which is faster for
                files without any.

        Raises:
            PermanentError: the file cannot be read as what it is.
            TransientError: the lake could not be reached.
        """
        async with self.sheet(drop, contract) as sheet:
            if sifted or not isinstance(sheet, CsvSheet) or not sheet.is_plain:
                yield SiftedRows(self, drop, contract, sheet)
            else:
                yield PlainRows(self, drop, contract, sheet)

    @asynccontextmanager
    async def sheet(self, drop: Drop, contract: Contract) -> AsyncIterator[CsvSheet | JsonSheet]:
        """The file, opened as what it is."""
        async with (
            self.lake.open(drop) as blocks,
            open_sheet(blocks, drop.file or drop.key, contract, self.limits.unpacked) as sheet,
        ):
            yield sheet
