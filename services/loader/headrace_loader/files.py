"""The files of drops, opened as what they are, with their rows on the way into a table."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Protocol

from headrace_loader.columns import columns_of_file
from headrace_loader.copying import copy_statement
from headrace_loader.csv_stream import CsvStream, open_csv, record_of
from headrace_loader.lake import S3Lake
from headrace_loader.sifting.batches import Batch
from headrace_loader.sifting.copying import by_number
from headrace_loader.sifting.csv_batches import CsvBatcher, Layout, csv_batches
from headrace_loader.sifting.quarantine import Quarantine
from headrace_loader.sifting.verdict import Found, refusal
from headrace_loader.transaction import LoadTransaction
from headrace_loader.unpacking import DEFAULT_LIMITS, UnpackLimits
from headrace_shared.contract import Column, Contract
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
        line_bytes: the longest line of a file that is sifted.
        bad_rows: so many bad rows of a file that is rejected are found.
    """

    unpacked: UnpackLimits = DEFAULT_LIMITS
    line_bytes: int = 16 * MEGABYTE
    bad_rows: int = 10_000


DEFAULT_FILE_LIMITS: Final = FileLimits()


class Rows(Protocol):
    """The rows of one file, on their way."""

    async def into(self, transaction: LoadTransaction, *, staged: bool) -> Found:
        """Brings them into the table, or into its staging.

        Raises:
            PermanentError: the file has more bad rows than may be set aside.
            CopyRefusedError: a row cannot be taken.
            TransientError: the lake does not go on.
        """


@dataclass(frozen=True, slots=True)
class PlainRows:
    """Every byte goes to COPY as it came; the first row that is bad ends it."""

    columns: tuple[Column, ...]
    contract: Contract
    file: CsvStream

    async def into(self, transaction: LoadTransaction, *, staged: bool) -> Found:
        """See `Rows`."""
        dialect = self.contract.format
        rows = await transaction.copy(self.columns, dialect, self.file.blocks, staged=staged)
        return Found(rows, (), complete=True)


class SiftedRows:
    """Every bad row is found; what becomes of them the contract says.

    Args:
        file: the file, opened; it is opened again only if it has to be read twice.
        quarantine: where bad rows are kept; None to keep them nowhere.
    """

    def __init__(self, files: Files, drop: Drop, contract: Contract, file: CsvStream) -> None:
        self._files = files
        self._drop = drop
        self._contract = contract
        self._columns = columns_of_file(file.header, contract)
        self._header = file.header
        self._opened: CsvStream | None = file

    async def into(self, transaction: LoadTransaction, *, staged: bool) -> Found:
        """See `Rows`."""
        policy, limits = self._contract.on_bad_rows, self._files.limits
        most = policy.max_rows if policy.mode == "quarantine" else limits.bad_rows
        headless = self._contract.format.model_copy(update={"header": False})
        statement = copy_statement(
            transaction.destination(staged=staged),
            [column.name for column in self._columns],
            headless,
            passing_over=True,
        )
        sifted = await transaction.sift(statement, self._read, most)
        bad = by_number([*sifted.bad, *await transaction.judged(self._columns, sifted.passed)])
        found = Found(sifted.rows, bad, sifted.complete)
        await self._keep(found)
        return found

    async def _keep(self, found: Found) -> None:
        if not found.bad:
            return
        reason = refusal(found, self._contract.on_bad_rows)
        _log.info("rows.sifted", rows=found.rows, bad_rows=len(found.bad), aside=reason is None)
        if self._files.quarantine is not None:
            header = record_of(self._header, self._contract.format) if self._header else None
            await self._files.quarantine.keep(
                self._drop, found.bad, header=header, set_aside=reason is None
            )
        if reason is not None:
            raise PermanentError(reason)

    @asynccontextmanager
    async def _read(self) -> AsyncIterator[AsyncIterator[Batch]]:
        opened, self._opened = self._opened, None
        if opened is not None:
            yield self._batches(opened)
            return
        async with self._files.stream(self._drop, self._contract) as again:
            yield self._batches(again)

    def _batches(self, file: CsvStream) -> AsyncIterator[Batch]:
        dialect = self._contract.format
        batcher = CsvBatcher(
            Layout(dialect, self._columns),
            header=file.header is not None,
            most_bytes=self._files.limits.line_bytes,
        )
        return csv_batches(file.blocks, batcher)


class Files:
    """Opens the files of drops.

    Args:
        quarantine: where bad rows are kept; None to keep them nowhere.
    """

    def __init__(
        self,
        lake: S3Lake,
        quarantine: Quarantine | None,
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
        async with self.stream(drop, contract) as file:
            if sifted:
                yield SiftedRows(self, drop, contract, file)
            else:
                yield PlainRows(columns_of_file(file.header, contract), contract, file)

    @asynccontextmanager
    async def stream(self, drop: Drop, contract: Contract) -> AsyncIterator[CsvStream]:
        """The file, unpacked, with its header read."""
        async with self.lake.open(drop) as blocks:
            yield await open_csv(
                blocks, drop.file or drop.key, contract.format, self.limits.unpacked
            )


def is_sifted_at_once(contract: Contract) -> bool:
    """Whether files under this contract are sifted without trying COPY on them first: bad rows
    are expected, or there is something in them that COPY does not know of."""
    return contract.on_bad_rows.mode == "quarantine" or contract.format.comment is not None
