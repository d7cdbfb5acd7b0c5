"""COPY of batches: what Postgres cannot take it passes over and tells, and the rest is loaded.

`ON_ERROR ignore` with `LOG_VERBOSITY verbose` tells each row that was passed over in a notice; both
came with Postgres 17. https://www.postgresql.org/docs/17/sql-copy.html
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Final

from psycopg import AsyncConnection, sql
from psycopg.errors import Diagnostic

from headrace_loader.csv_stream import END_MARKER_GONE, refuse_end_marker
from headrace_loader.sifting.batches import BadRecord, Batch, Fields, Record
from headrace_loader.sqlstate import CopyRefusedError, copy_errors
from headrace_shared.errors import HeadraceError

_LINE: Final = re.compile(r"\d+")

_WINDOW_BYTES: Final = 24 * 1024 * 1024
"""A notice comes when Postgres has read so far, which is behind what was sent by what the sockets
between hold: a few megabytes, and seldom more than this."""

PREAMBLE: Final = b"\n"
"""A first line, which COPY is told to pass over as a header. By its end COPY knows what ends a
line; before, it counts no line feed within quotes, and every line that it tells would be off:
`CopyReadLineText` in
https://git.postgresql.org/gitweb/?p=postgresql.git;a=blob;f=src/backend/commands/copyfromparse.c"""

MOST_RAW_BYTES: Final = 64 * 1024 * 1024
"""Bad records are held in memory until all are known."""

Reading = Callable[[], AbstractAsyncContextManager[AsyncIterator[Batch]]]
"""Reads the file from its beginning; it may be asked twice."""


@dataclass(frozen=True, slots=True)
class Passed:
    """A row that Postgres passed over.

    Args:
        place: of all rows that were sent, counted from 0.
    """

    place: int
    record: Record
    fields: Fields


@dataclass(slots=True)
class Sifted:
    """What became of a file.

    Args:
        rows: how many are loaded.
        bad: records whose structure is at fault.
        passed: records with values that Postgres did not take.
        complete: the file was read to its end; if not, it had more bad records than were wanted.
    """

    rows: int = 0
    bad: list[BadRecord] = field(default_factory=list)
    passed: list[Passed] = field(default_factory=list)
    complete: bool = True


class MiscountedError(HeadraceError):
    """COPY tells something else than what was sent to it: a bug, in whose presence nothing may be
    committed."""


class _EnoughError(Exception):
    """There are more bad records than anybody wants to know."""


@dataclass(slots=True)
class _Notices:
    """Listens to a COPY: the line of each row that it passes over."""

    heard: list[int] = field(default_factory=list)

    def __call__(self, notice: Diagnostic) -> None:
        # The last notice counts the others; told by its source, for messages are translated.
        line = _LINE.search(notice.message_primary or "")
        if line is not None and notice.source_function != "CopyFrom":
            self.heard.append(int(line[0]))

    def taken(self) -> list[int]:
        """What was heard since the last time."""
        heard, self.heard = self.heard, []
        return heard


@dataclass(slots=True)
class _Window:
    """The batches sent last, by the lines that COPY counts, and the rows before them."""

    batches: deque[tuple[int, int, Batch]] = field(default_factory=deque)
    lines: int = PREAMBLE.count(b"\n")
    rows: int = 0
    held: int = 0

    def add(self, batch: Batch) -> None:
        self.batches.append((self.lines, self.rows, batch))
        self.lines += batch.lines
        self.rows += batch.rows
        self.held += batch.weight
        while self.held > _WINDOW_BYTES and len(self.batches) > 1:
            self.held -= self.batches.popleft()[2].weight

    def find(self, line: int) -> Passed | None:
        """The row that COPY knows by this line, if its batch is still here."""
        for lines, rows, batch in reversed(self.batches):
            if lines < line <= lines + batch.lines:
                place = batch.place_of(line - lines)
                return Passed(rows + place, *batch.sent(place))
        return None


class Sift:
    """One COPY with everything that is found out on the way.

    Args:
        statement: the COPY, which passes over what it cannot take, and over one line at first.
        read: opens the file.
        most_bad: with more bad records than this the reading stops.
        leave_out: makes records bad as a whole when the file is read again, by their numbers;
            False if each is one row in any case.
    """

    def __init__(
        self,
        connection: AsyncConnection[Any],
        statement: sql.Composed,
        read: Reading,
        most_bad: int,
        leave_out: Callable[[Collection[int]], bool] = lambda _: False,
    ) -> None:
        self._connection = connection
        self._statement = statement
        self._read = read
        self._most = most_bad
        self._leave_out = leave_out
        self._notices = _Notices()
        self._window = _Window()
        self._missed: set[int] = set()
        self._sifted = Sifted()
        self._raw_bytes = 0

    async def run(self, patiently: Callable[[Awaitable[Any]], Awaitable[Any]]) -> Sifted:
        """Loads what can be loaded. A record with a row that Postgres does not take is left out as
        a whole: corrected, it comes as a whole again.

        Args:
            patiently: awaits the next batch for as long as a lock may be held for it.

        Raises:
            CopyRefusedError: a row broke a rule that no reader of the file can know of.
        """
        async with self._connection.transaction() as savepoint:
            sifted = await self._once(patiently)
            numbers = {one.record.number for one in sifted.passed}
            in_parts = bool(sifted.complete and numbers and self._leave_out(numbers))
            savepoint.force_rollback = in_parts
        if not in_parts:
            return sifted
        self._window, self._sifted, self._raw_bytes = _Window(), Sifted(), 0
        self._missed.clear()
        return await self._once(patiently)

    async def _once(self, patiently: Callable[[Awaitable[Any]], Awaitable[Any]]) -> Sifted:
        self._connection.add_notice_handler(self._notices)
        try:
            # A savepoint: after a COPY that was ended the transaction can go on to ask why.
            async with self._connection.transaction():
                with copy_errors():
                    self._sifted.rows = await self._copy(patiently)
        except _EnoughError:
            self._sifted.complete = False
        except CopyRefusedError as refused:
            raise self._placed(refused) from refused
        finally:
            self._connection.remove_notice_handler(self._notices)
        sifted = self._sifted
        if self._missed and (sifted.complete or not (sifted.bad or sifted.passed)):
            await self._find_missed()
        if sifted.complete:
            self._reconcile()
        else:
            # Notices of what was sent come after the end was decided on.
            del sifted.passed[self._most + 1 :]
        return sifted

    def _reconcile(self) -> None:
        """What was sent is loaded or was told of: should that not hold, nothing is believed."""
        sent, told = self._window.rows, self._sifted.rows + len(self._sifted.passed)
        if sent != told:
            raise MiscountedError(f"{sent} rows were sent to COPY, which told of {told}")

    async def _copy(self, patiently: Callable[[Awaitable[Any]], Awaitable[Any]]) -> int:
        async with self._read() as batches, self._connection.cursor() as cursor:
            async with cursor.copy(self._statement) as copy:
                await copy.write(PREAMBLE)
                while (batch := await patiently(anext(batches, None))) is not None:
                    self._window.add(batch)
                    self._set_aside(batch.bad)
                    if batch.payload:
                        if self._connection.info.server_version < END_MARKER_GONE:
                            refuse_end_marker(batch.payload)
                        await copy.write(batch.payload)
                        self._listen()
                    self._take_notices()
                    self._stop_at_enough()
            self._take_notices()
            self._stop_at_enough()
            return cursor.rowcount

    def _placed(self, refused: CopyRefusedError) -> CopyRefusedError:
        """The refusal with the place in the file, not in what was sent of it."""
        found = self._window.find(refused.first.line or 0)
        if found is None:
            return refused
        place = {"line": found.record.line, "record": found.record.number}
        return CopyRefusedError(refused.first.model_copy(update=place), refused.sqlstate)

    def _listen(self) -> None:
        """Has the notices told that have come: the driver reads only when it cannot write, and
        they would come when their batches are gone from the window."""
        self._connection.pgconn.consume_input()
        self._connection.pgconn.is_busy()

    def _take_notices(self) -> None:
        for line in self._notices.taken():
            found = self._window.find(line)
            if found is None:
                self._missed.add(line)
            else:
                self._sifted.passed.append(found)
                self._raw_bytes += len(found.record.raw)

    def _set_aside(self, bad: Sequence[BadRecord]) -> None:
        self._sifted.bad += bad
        self._raw_bytes += sum(len(one.record.raw) for one in bad)

    def _stop_at_enough(self) -> None:
        sifted = self._sifted
        count = len(sifted.bad) + len(sifted.passed) + len(self._missed)
        if count > self._most or self._raw_bytes > MOST_RAW_BYTES:
            raise _EnoughError

    async def _find_missed(self) -> None:
        """Reads the file again for records that Postgres told of too late."""
        window = _Window()
        async with self._read() as batches:
            async for batch in batches:
                window.add(batch)
                lines = range(window.lines - batch.lines + 1, window.lines + 1)
                for line in self._missed.intersection(lines):
                    found = window.find(line)
                    assert found is not None
                    self._sifted.passed.append(found)


async def loaded_records(
    batches: AsyncIterator[Batch], passed: Sequence[int], wanted: Iterable[int]
) -> dict[int, Record]:
    """The records of rows that were loaded, by the places of all the rows that they have.

    Args:
        batches: the file, from its beginning.
        passed: the places of the rows that were sent and passed over, in order.
        wanted: rows by their place among those loaded, counted from 0.
    """
    # So many rows had to be loaded before each that was passed over.
    loaded_before = [place - others for others, place in enumerate(passed)]
    sent = {place + bisect_right(loaded_before, place): place for place in wanted}
    before, found, left = 0, dict[int, Record](), len(sent)
    async for batch in batches:
        places = [place for place in range(batch.rows) if before + place in sent]
        for place in batch.beside(places):
            loaded = before + place - bisect_left(passed, before + place)
            found[loaded] = batch.sent(place)[0]
        before, left = before + batch.rows, left - len(places)
        if not left:
            break
    return found
