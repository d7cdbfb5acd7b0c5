"""The load of one drop, from the lake into the warehouse: the steps and their order.

What is slow or may hang (opening the object, reading its header) comes before the transaction;
inside it are the locks, the ledger, the rows, and the commit.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, auto
from typing import Final
from uuid import UUID

from headrace_loader import ledger
from headrace_loader.batching import Batches
from headrace_loader.bringing import bring
from headrace_loader.files import Files, Rows
from headrace_loader.ledger import Claim
from headrace_loader.outcomes import Applied, Outcome, Rejected, Reverted, Superseded
from headrace_loader.own_contracts import OwnContracts, inferred_key
from headrace_loader.pace import Verdict
from headrace_loader.placing import Placement, place
from headrace_loader.plain_dates import UnclearDatesError
from headrace_loader.plain_look import NotPlainError
from headrace_loader.postgres import PostgresWarehouse
from headrace_loader.room import Room
from headrace_loader.sifting.converting import unknown_locales
from headrace_loader.slots import Slots
from headrace_loader.sqlstate import CopyRefusedError, DdlRefusedError, TableRefusedError
from headrace_loader.standing import Standing, StoredContract
from headrace_loader.testing_rows import (
    TESTS_TIMED_OUT,
    TestsTimedOutError,
    forbidden_test,
)
from headrace_loader.transaction import LoadTransaction
from headrace_shared import backoff
from headrace_shared.contract import MAX_CONTRACT_BYTES, Contract, parse_contract
from headrace_shared.drop import Action, Drop
from headrace_shared.errors import PermanentError, TransientError
from headrace_shared.facts import DropRouted, now
from headrace_shared.gate import Gate
from headrace_shared.logging import get_logger
from headrace_shared.reasons import Reason

_log = get_logger(__name__)

_TRIES_OF_SLOW_TESTS: Final = 3
"""A busy warehouse makes tests slow for a while; a test that is slow by itself stays so."""


@dataclass(frozen=True, slots=True)
class _Try:
    """One try at one drop. `again`: it is in the ledger, and is to be loaded again."""

    drop: Drop
    request: int
    attempt: int
    started_at: datetime
    again: bool


class _Reading(Enum):
    """How a file is read, each more thorough than the one before.

    PLAIN ends with the first bad row, VALIDATED finds every value that is not of its column's
    type, ROW_BY_ROW also every row that the table refuses.
    """

    PLAIN = auto()
    VALIDATED = auto()
    ROW_BY_ROW = auto()


class Loading:
    """Loads drops; bears any drop any number of times, in any order, beside other loaders.

    Args:
        contract_wait_seconds: how long a drop waits for its table's contract.
        loads: how many may be under way at a time, batches of small ones aside.
        gate: closed while more wait than can be under way.
        require: raises NotNowError while no load can succeed.
        own_contracts: makes the contract of a table that has none; None for nobody.
        files: opens the drops' files.
    """

    def __init__(
        self,
        files: Files,
        warehouse: PostgresWarehouse,
        *,
        contract_wait_seconds: float,
        loads: int = 4,
        gate: Gate | None = None,
        require: Callable[[], None] = lambda: None,
        own_contracts: OwnContracts | None = None,
    ) -> None:
        self._files = files
        self._warehouse = warehouse
        self._room = Room(gate or Gate())
        self._batches = Batches(files.lake, warehouse, transactions=loads, room=self._room)
        self._slots = Slots(loads, self._room)
        self._require = require
        self._contract_wait = contract_wait_seconds
        self._own_contracts = own_contracts

    def admit(self, drop: Drop, attempt: int) -> None:
        """Refuses a drop that would only wait in hand.

        Args:
            attempt: how often its message was received, from 1.

        Raises:
            NotNowError: no load can succeed, or many drops of its slow table wait already.
        """
        self._require()
        self._room.admit(drop.table, attempt)

    async def load(self, drop: Drop, attempt: int, request: int = 0) -> Outcome:
        """Brings the drop to its end and records it.

        Args:
            attempt: how often this was tried, this try included.
            request: the replay that asks for it, in milliseconds since the epoch; 0 for none.

        Raises:
            TransientError: nothing was changed; a later try may succeed.
        """
        together = None if request else await self._batches.load(drop)
        if together is not None:
            return together
        async with self._slots.of(drop.table) as turn:
            self._require()
            outcome = await self._load_alone(drop, attempt, request)
            turn.verdict = _verdict(outcome)
            return outcome

    async def revert(self, drop: Drop, request: int) -> Outcome:
        """Reverts a drop: from now on it counts as never landed.

        Its rows leave the table. The drops whose rows it had removed, replaced or kept out are
        reopened, and so are those that were read under it, where it is a contract.

        Args:
            request: the moment of the request, in milliseconds since the epoch.

        Raises:
            TransientError: nothing was changed; the drop may still be on its way here.
            PermanentError: the table cannot take the shape that it had without the contract.
        """
        async with (
            self._slots.of(drop.table),
            self._warehouse.transaction(drop, exclusive=True) as transaction,
        ):
            entry = await transaction.entry()
            if entry is None:
                raise TransientError(f"the drop {drop.drop_id} has not been loaded yet")
            if request <= entry.request:
                return entry.outcome
            run = await transaction.requested(request)
            if isinstance(entry.outcome, Reverted):
                return await transaction.finish(replace(entry.outcome, run=run))
            claim = Claim(run, entry.contract_order, entry.outcome)
            if drop.action is Action.SCHEMA:
                opened = await _take_contract_out(transaction, drop)
                return await _finish(transaction, claim, Reverted(run=run, reopens=opened))
            reverted = Reverted(await transaction.undo(claim), run=run)
            return await _end(transaction, claim, reverted)

    async def publish_reopened(
        self, opener: Drop, publish: Callable[[Sequence[DropRouted]], Awaitable[None]]
    ) -> int:
        """Publishes each drop that `opener` reopened, once; returns how many."""
        return await self._warehouse.publish_reopened(opener, publish)

    async def _load_alone(self, drop: Drop, attempt: int, request: int) -> Outcome:
        entry, order = await self._warehouse.entry(drop), ledger.contract_order(drop, request)
        if entry is not None and entry.answers(request, order):
            return entry.outcome
        this = _Try(drop, request, attempt, now(), again=entry is not None)
        if drop.action is Action.SCHEMA:
            return await self._apply_contract(this)
        if entry is not None:
            order = max(order, entry.contract_order)
        stored = await self._warehouse.contract(drop, order)
        try:
            if stored is None:
                raise await self._without_contract(drop, attempt)
            return await self._copy(this, stored)
        except PermanentError as error:
            contract_id = stored.contract_id if stored else None
            return await self._reject(this, Rejected(error.reason, contract_id))
        except TestsTimedOutError as late:
            if attempt < _TRIES_OF_SLOW_TESTS:
                raise
            assert stored is not None
            return await self._reject(this, Rejected(late.reason, stored.contract_id))

    async def _copy(self, this: _Try, stored: StoredContract) -> Outcome:
        reading = _first_reading(stored.contract)
        while True:
            try:
                return await self._take(this, stored, reading)
            except (NotPlainError, UnclearDatesError):
                reading = _Reading.VALIDATED
            except (CopyRefusedError, TableRefusedError) as refused:
                following = _next_reading(reading, refused)
                if following is None:
                    raise _rejection(refused) from refused
                reading = following
            _log.info("load.refused")

    async def _take(self, this: _Try, stored: StoredContract, reading: _Reading) -> Outcome:
        sifted = reading is not _Reading.PLAIN
        async with self._files.rows(this.drop, stored.contract, sifted=sifted) as rows:
            return await self._bring(this, stored, rows, row_by_row=reading is _Reading.ROW_BY_ROW)

    async def _bring(
        self, this: _Try, stored: StoredContract, file: Rows, *, row_by_row: bool
    ) -> Outcome:
        exclusive = this.again or this.drop.action is not Action.APPEND
        async with self._warehouse.transaction(this.drop, exclusive=exclusive) as transaction:
            claim = await transaction.claim(this.started_at, this.request)
            if not isinstance(claim, Claim):
                return claim
            standing = await _standing(transaction, claim, stored.contract_id)
            await transaction.undo(claim)
            placed = place(this.drop, standing, claim)
            if row_by_row and isinstance(placed, Placement):
                placed = replace(placed, staged=True, row_by_row=True)
            outcome: Outcome = (
                await bring(transaction, this.drop, file, placed, standing, claim)
                if isinstance(placed, Placement)
                else placed
            )
            return await _end(transaction, claim, outcome)

    async def _reject(self, this: _Try, rejected: Rejected) -> Outcome:
        """Records a rejection, unless what it rests on has changed meanwhile."""
        drop = this.drop
        async with self._warehouse.transaction(drop, exclusive=this.again) as transaction:
            claim = await transaction.claim(this.started_at, this.request)
            if not isinstance(claim, Claim):
                return claim
            outcome: Outcome = replace(rejected, run=claim.run)
            if drop.action is not Action.SCHEMA:
                standing = await _standing(transaction, claim, rejected.contract_id)
                if standing.overtaken_by is not None:
                    outcome = Superseded(standing.overtaken_by, run=claim.run)
            await transaction.undo(claim)
            if isinstance(claim.before, Applied):
                opened = await _take_contract_out(transaction, drop)
                return await _finish(transaction, claim, replace(outcome, reopens=opened))
            return await _end(transaction, claim, outcome)

    async def _apply_contract(self, this: _Try) -> Outcome:
        try:
            wanted = parse_contract(await self._document(this.drop))
            _refuse_unknown_locales(wanted)
            self._refuse_forbidden_tests(this.drop, wanted)
            await self._refuse_types(wanted)
        except PermanentError as error:
            return await self._reject(this, Rejected(error.reason))
        async with self._warehouse.transaction(this.drop, exclusive=True) as transaction:
            claim = await transaction.claim(this.started_at, this.request)
            if not isinstance(claim, Claim):
                return claim
            outcome = await _judged(transaction, this.drop, wanted)
            return await _finish(transaction, claim, replace(outcome, run=claim.run))

    async def _refuse_types(self, contract: Contract) -> None:
        refused = await self._warehouse.refused_types({one.type for one in contract.columns})
        for column in contract.columns:
            if column.type in refused:
                raise PermanentError(
                    Reason(
                        code="contract_invalid",
                        message=f"The contract is not valid: the type {column.type} of the column "
                        f"{column.name!r} {refused[column.type]}.",
                        remedy="Create the type in the warehouse, or use another one, and replay "
                        "this drop.",
                    )
                )

    def _refuse_forbidden_tests(self, drop: Drop, contract: Contract) -> None:
        for test in contract.tests:
            why = forbidden_test(test, drop, self._warehouse.rules)
            if why is not None:
                raise PermanentError(
                    Reason(
                        code="contract_invalid",
                        message=f"The test {test.label} of the contract may not be run: {why}.",
                        remedy="Change the test in the contract and upload it again.",
                    )
                )

    async def _document(self, drop: Drop) -> bytes:
        document = bytearray()
        async with self._files.lake.open(drop) as blocks:
            async for block in blocks:
                document += block
                if len(document) > MAX_CONTRACT_BYTES:
                    break  # parse_contract says so; the rest need not be read
        return bytes(document)

    async def _without_contract(self, drop: Drop, attempt: int) -> PermanentError | TransientError:
        missing = self._contract_missing(drop, attempt)
        own = self._own_contracts
        if isinstance(missing, PermanentError) or own is None or not own.makes_for(drop):
            return missing
        reverted = await self._warehouse.reverted_version(drop.bucket, inferred_key(drop))
        if reverted is None:
            return await own.make(drop)
        reason = _reverted(drop, reverted)
        return TransientError(reason.message, retry_after=missing.retry_after, reason=reason)

    def _contract_missing(self, drop: Drop, attempt: int) -> PermanentError | TransientError:
        """Tries are counted, not hours: a drop may have lain in the queue beside its contract
        while no loader ran."""
        reason = Reason(
            code="contract_missing",
            message=f"The table {drop.table} has no contract.",
            remedy=f"Drop one at {drop.db_name}/schema/{drop.table_name}/contract.json; this drop "
            f"waits for it for up to {self._contract_wait:g} seconds.",
        )
        if attempt < backoff.looks_within(self._contract_wait):
            return TransientError(
                reason.message, retry_after=backoff.patient(attempt), reason=reason
            )
        remedy = (
            f"It waited for {self._contract_wait:g} seconds. Drop a contract at "
            f"{drop.db_name}/schema/{drop.table_name}/contract.json, then replay this drop."
        )
        return PermanentError(reason.model_copy(update={"remedy": remedy}))


def _reverted(drop: Drop, contract_id: UUID) -> Reason:
    """No other contract is inferred: a person has decided against the one that was."""
    return Reason(
        code="contract_missing",
        message=f"The table {drop.table} has no contract: the one that was inferred was reverted, "
        "and no other is inferred.",
        remedy=f"Drop one at {drop.db_name}/schema/{drop.table_name}/contract.json, or take the "
        f"inferred one again with `headrace replay {contract_id}`. This drop waits for it.",
    )


def _first_reading(contract: Contract) -> _Reading:
    # Where bad rows are expected, COPY is not tried on the file first.
    if contract.on_bad_rows.mode == "reject" and contract.hard_testing:
        return _Reading.PLAIN
    return _Reading.VALIDATED


def _next_reading(
    reading: _Reading, refused: CopyRefusedError | TableRefusedError
) -> _Reading | None:
    """The reading that can find more; None where no reading can."""
    if reading is _Reading.ROW_BY_ROW:
        return None
    if isinstance(refused, TableRefusedError):
        return _Reading.ROW_BY_ROW if refused.rows else None
    if reading is _Reading.PLAIN and refused.is_of_a_value:
        return _Reading.VALIDATED
    return _Reading.ROW_BY_ROW


def _verdict(outcome: Outcome) -> Verdict:
    if isinstance(outcome, Rejected) and outcome.reason.code == TESTS_TIMED_OUT:
        return Verdict.OUT_OF_TIME
    return Verdict.NONE if outcome.repeated else Verdict.IN_TIME


async def _standing(
    transaction: LoadTransaction, claim: Claim, read_under: UUID | None
) -> Standing:
    """What the drop meets.

    Raises:
        TransientError: its contract is another one since the file was opened by it.
    """
    standing = await transaction.standing(claim)
    contract_id = standing.contract.contract_id if standing.contract else None
    if contract_id != read_under:
        raise TransientError("the contract changed while the file was read", retry_after=0)
    return standing


async def _judged(transaction: LoadTransaction, drop: Drop, wanted: Contract) -> Applied | Rejected:
    try:
        change, reopens = await transaction.apply_contract(wanted)
    except DdlRefusedError as refused:
        await transaction.refuse_for_its_rows()
        return Rejected(_refused_by_rows(drop, refused))
    verdict = next(v for v in change.chain.verdicts if v.contract_id == drop.drop_id)
    if verdict.refusal is not None:
        return Rejected(verdict.refusal, reopens=reopens)
    return Applied(verdict.changes, reopens=reopens)


def _refuse_unknown_locales(contract: Contract) -> None:
    unknown = unknown_locales(contract.columns)
    if unknown:
        raise PermanentError(
            Reason(
                code="contract_invalid",
                message=f"The contract is not valid: nobody knows the locale {unknown[0]!r}.",
                remedy="Use the code of a language, such as ru or pt_BR, and drop it again.",
            )
        )


def _rejection(refused: CopyRefusedError | TableRefusedError) -> PermanentError:
    """The refusal of a drop, of which no row is known that could be left out."""
    if isinstance(refused, TableRefusedError):
        return refused
    first = refused.first
    place = f"line {first.line}: " if first.line else ""
    return PermanentError(
        Reason(
            code="bad_rows",
            message=f"The table does not take a row of the file: {place}{first.reason}.",
            remedy="Nothing of the file is loaded. Correct the row and upload the file again, or "
            "take the rule from the table and replay the drop.",
            bad_rows=(first,),
            bad_row_count=1,
        )
    )


async def _end(transaction: LoadTransaction, claim: Claim, outcome: Outcome) -> Outcome:
    opened = await transaction.reopen_dependents(claim, outcome)
    return await _finish(transaction, claim, replace(outcome, reopens=opened))


async def _finish(transaction: LoadTransaction, claim: Claim, outcome: Outcome) -> Outcome:
    # Another delivery of this drop may have reopened drops and ended before they were published.
    reopens = outcome.reopens or claim.before is not None
    return await transaction.finish(replace(outcome, reopens=reopens))


async def _take_contract_out(transaction: LoadTransaction, drop: Drop) -> bool:
    """Whether drops were reopened for it."""
    try:
        return await transaction.take_contract_out()
    except DdlRefusedError as refused:
        raise PermanentError(_revert_refused(drop, refused)) from refused


def _revert_refused(drop: Drop, refused: DdlRefusedError) -> Reason:
    return Reason(
        code="revert_refused",
        message=f"The contract of {drop.table} cannot be reverted, because the table cannot take "
        f"the shape that it had without this contract: {refused}.",
        remedy="Change what prevents it (rows that were not loaded by Headrace, or a view on a "
        "column of the contract), and revert the drop again.",
    )


def _refused_by_rows(drop: Drop, refused: DdlRefusedError) -> Reason:
    return Reason(
        code="contract_change_refused",
        message=f"The table {drop.table} cannot take the shape of this contract: {refused}.",
        remedy="Mend the rows that stand against it, or the contract, and replay this drop.",
    )
