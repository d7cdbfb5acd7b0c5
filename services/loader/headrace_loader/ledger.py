"""The ledger: how each drop ended, written in the transaction of its rows.

The columns are explained in docs/adr/0007-convergence.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, LiteralString
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from headrace_loader.outcomes import (
    NOTHING_ASIDE,
    Applied,
    Aside,
    Loaded,
    Outcome,
    Period,
    Rejected,
    Reverted,
    Superseded,
)
from headrace_shared.drop import Action, Drop, drop_id_bounds, file_for_ledger
from headrace_shared.facts import now
from headrace_shared.final_events import FinalState, Findings
from headrace_shared.log_schema import State
from headrace_shared.reasons import Reason

_OUTCOMES: Final = {
    Loaded: "loaded",
    Applied: "loaded",
    Superseded: "superseded",
    Reverted: "reverted",
    Rejected: "rejected",
}

_ENTER: Final[LiteralString] = """
    insert into headrace.ledger (drop_id, db_name, table_name, action, bucket, key, version_id,
        etag, size_bytes, sequencer, landed_at, started_at, applied_at, outcome, request, run,
        contract_order, file)
    values (%(drop_id)s, %(db_name)s, %(table_name)s, %(action)s, %(bucket)s, %(key)s,
        %(version_id)s, %(etag)s, %(size_bytes)s, %(sequencer)s, %(landed_at)s, %(started_at)s,
        clock_timestamp(), 'loaded', %(request)s, %(request)s, %(contract_order)s,
        %(file)s)
    on conflict do nothing
    """

_REQUESTED: Final[LiteralString] = """
    update headrace.ledger set request = greatest(request, %(request)s),
        run = greatest(run + 1, %(request)s),
        contract_order = greatest(contract_order, %(contract_order)s), reverted = %(reverted)s
    where drop_id = %(drop_id)s returning run, contract_order
    """

_COMPLETE: Final[LiteralString] = """
    update headrace.ledger set outcome = %(outcome)s, rows_loaded = %(rows)s,
        rows_removed = %(rows_removed)s, rows_quarantined = %(rows_quarantined)s,
        told = %(told)s, contract_id = %(contract_id)s,
        superseded_by = %(superseded_by)s, reason = %(reason)s,
        keys_fingerprint = %(keys)s, reopened_at = null, reopened_by = null,
        started_at = %(started_at)s, applied_at = clock_timestamp()
    where drop_id = %(drop_id)s returning started_at, applied_at
    """

_ENTRY: Final[LiteralString] = """
    select ledger.*, contracts.changes
    from headrace.ledger left join headrace.contracts using (drop_id) where drop_id = %s
    """


@dataclass(frozen=True, slots=True)
class Entry:
    """A drop's row in the ledger."""

    outcome: Outcome
    request: int
    run: int
    contract_order: UUID
    reverted: bool
    reopened: bool

    def answers(self, request: int, order: UUID) -> bool:
        """Whether the drop is at its end, for this request too, whose contract order this is.

        A replay that comes after a later request still counts for the contract: which one that is
        must not depend on the order in which requests come.
        """
        return not self.reopened and request <= self.request and order <= self.contract_order


@dataclass(frozen=True, slots=True)
class Claim:
    """A drop that this transaction ends. `before`: how it had ended already, if it had."""

    run: int
    contract_order: UUID
    before: Outcome | None


def contract_order(drop: Drop, request: int) -> UUID:
    """The place by which a drop's contract is chosen.

    Args:
        request: the latest replay, in milliseconds since the epoch; 0 for none. A contract that
            landed in the same second counts as earlier: S3 tells whole seconds alone.
    """
    if not request:
        return drop.drop_id
    asked = datetime.fromtimestamp(request / 1000, UTC)
    return max(drop.drop_id, drop_id_bounds(None, asked)[1])


async def find(connection: AsyncConnection[Any], drop: Drop, *, lock: bool = False) -> Entry | None:
    """The drop's entry, if there is one.

    Args:
        lock: nobody else changes it before this transaction ends.
    """
    suffix: LiteralString = " for update of ledger" if lock else ""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_ENTRY + suffix, [drop.drop_id])
        row = await cursor.fetchone()
    return None if row is None else _entry(row)


async def reverted_version(connection: AsyncConnection[Any], bucket: str, key: str) -> UUID | None:
    """The latest version of a key, if it was reverted."""
    cursor = await connection.execute(
        "select drop_id, outcome from headrace.ledger where bucket = %s and key = %s "
        "order by drop_id desc limit 1",
        [bucket, key],
    )
    row = await cursor.fetchone()
    return row[0] if row and row[1] == _OUTCOMES[Reverted] else None


async def claim(
    connection: AsyncConnection[Any], drop: Drop, started_at: datetime, request: int
) -> Claim | Outcome:
    """Enters a drop, or opens it again if that was asked for; else answers how it ended.

    A loader that has the same drop in hand waits here until this transaction ends.
    """
    order = contract_order(drop, request)
    cursor = await connection.execute(_ENTER, _values(drop, started_at, request, order))
    if cursor.rowcount:
        return Claim(request, order, before=None)
    entry = await find(connection, drop, lock=True)
    if entry is None:
        return Superseded(await _other_id(connection, drop), repeated=True)
    if entry.answers(request, order):
        return entry.outcome
    if request <= entry.request and order <= entry.contract_order:
        return Claim(entry.run, entry.contract_order, entry.outcome)
    stays_reverted = entry.reverted and request <= entry.request
    run, order = await requested(connection, drop, request, order, reverted=stays_reverted)
    return replace(entry.outcome, run=run) if stays_reverted else Claim(run, order, entry.outcome)


async def requested(
    connection: AsyncConnection[Any], drop: Drop, request: int, order: UUID, *, reverted: bool
) -> tuple[int, UUID]:
    """Notes a request for a drop that is in the ledger; answers with its run and contract order.

    Args:
        order: the contract order of a replay; the drop id for a revert, which reads no file.
    """
    cursor = await connection.execute(
        _REQUESTED,
        {
            "drop_id": drop.drop_id,
            "request": request,
            "contract_order": order,
            "reverted": reverted,
        },
    )
    row = await cursor.fetchone()
    assert row is not None
    return row[0], row[1]


async def complete(
    connection: AsyncConnection[Any], drop: Drop, outcome: Outcome, started_at: datetime
) -> Period:
    """Writes how an entered drop ended.

    Args:
        started_at: when the try began that ended it; of a later run, not the first one's.
    """
    values = ending(outcome) | {"drop_id": drop.drop_id, "started_at": started_at}
    cursor = await connection.execute(_COMPLETE, values)
    row = await cursor.fetchone()
    assert row is not None
    return Period(*row)


def ending(outcome: Outcome) -> dict[str, Any]:
    """What an end writes into the ledger."""
    loaded = outcome if isinstance(outcome, Loaded) else None
    aside = outcome.aside if isinstance(outcome, Loaded) else NOTHING_ASIDE
    return {
        "outcome": _OUTCOMES[type(outcome)],
        "rows": loaded.rows if loaded else 0,
        "rows_removed": outcome.rows_removed if isinstance(outcome, Loaded | Reverted) else 0,
        "rows_quarantined": aside.rows,
        "told": jsonb(_findings(outcome).as_document()),
        "contract_id": None if isinstance(outcome, Applied | Reverted) else outcome.contract_id,
        "keys": outcome.keys if isinstance(outcome, Loaded | Superseded) else None,
        "superseded_by": outcome.by if isinstance(outcome, Superseded) else None,
        "reason": Jsonb(outcome.reason.model_dump()) if isinstance(outcome, Rejected) else None,
    }


def final_state(drop: Drop, outcome: Outcome, run: int) -> FinalState:
    """The final state that an outcome's ledger row holds.

    Args:
        run: the one that the message asks for. A later outcome is that of a later run.
    """
    written = ending(outcome)
    period = outcome.period or Period(now(), now())
    return FinalState(
        drop=drop,
        state=State(written["outcome"]),
        run=max(outcome.run, run),
        started_at=period.started_at,
        applied_at=period.applied_at,
        rows_loaded=written["rows"],
        rows_removed=written["rows_removed"],
        rows_quarantined=written["rows_quarantined"],
        findings=_findings(outcome),
        contract_id=written["contract_id"],
        superseded_by=written["superseded_by"],
        reason=outcome.reason if isinstance(outcome, Rejected) else None,
        changes=outcome.changes if isinstance(outcome, Applied) else (),
    )


def _findings(outcome: Outcome) -> Findings:
    aside = outcome.aside if isinstance(outcome, Loaded) else NOTHING_ASIDE
    warnings = outcome.warnings if isinstance(outcome, Loaded) else ()
    return Findings(aside.first, aside.tests, warnings)


def jsonb(document: Mapping[str, Any] | None) -> Jsonb | None:
    """A document as a parameter of a statement; None is SQL's null, not JSON's."""
    return None if document is None else Jsonb(document)


def _entry(row: dict[str, Any]) -> Entry:
    return Entry(
        outcome=_outcome(row),
        request=row["request"],
        run=row["run"],
        contract_order=row["contract_order"],
        reverted=row["reverted"],
        reopened=row["reopened_at"] is not None,
    )


def _outcome(row: dict[str, Any]) -> Outcome:
    return replace(_ended(row), period=Period(row["started_at"], row["applied_at"]))


def _ended(row: dict[str, Any]) -> Outcome:
    run, contract_id = row["run"], row["contract_id"]
    match row["outcome"]:
        case "superseded":
            by, keys = row["superseded_by"], row["keys_fingerprint"]
            return Superseded(by, contract_id, keys, repeated=True, run=run)
        case "rejected":
            reason = Reason.model_validate(row["reason"])
            return Rejected(reason, contract_id, repeated=True, run=run)
        case "reverted":
            return Reverted(row["rows_removed"], repeated=True, run=run)
    if row["action"] == Action.SCHEMA:
        return Applied(tuple(row["changes"] or ()), repeated=True, run=run)
    found = Findings.of_document(row["told"])
    aside = Aside(row["rows_quarantined"], found.bad_rows, found.tests)
    return Loaded(
        row["rows_loaded"],
        contract_id,
        row["rows_removed"],
        aside,
        found.warnings,
        row["keys_fingerprint"],
        repeated=True,
        run=run,
    )


async def _other_id(connection: AsyncConnection[Any], drop: Drop) -> UUID:
    """The id under which this very version of the object is in the ledger already: it was listed
    before its event came, or the other way round."""
    cursor = await connection.execute(
        "select drop_id from headrace.ledger where bucket = %s and key = %s and version_id = %s",
        [drop.bucket, drop.key, drop.version_id],
    )
    row = await cursor.fetchone()
    assert row is not None
    found: UUID = row[0]
    return found


def _values(drop: Drop, started_at: datetime, request: int, contract_order: UUID) -> dict[str, Any]:
    return {
        "drop_id": drop.drop_id,
        "db_name": drop.db_name,
        "table_name": drop.table_name,
        "action": drop.action,
        "bucket": drop.bucket,
        "key": drop.key,
        "version_id": drop.version_id,
        "etag": drop.etag,
        "size_bytes": drop.size_bytes,
        "sequencer": drop.sequencer,
        "landed_at": drop.landed_at,
        "started_at": started_at,
        "request": request,
        "contract_order": contract_order,
        "file": file_for_ledger(drop),
    }
