"""The one transaction of a batch: small appends to one table, whose order does not matter."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any, Final, LiteralString
from uuid import UUID

from psycopg import AsyncConnection

from headrace_loader import table
from headrace_loader.copying import copy_statement
from headrace_loader.ledger import jsonb
from headrace_loader.outcomes import Loaded, Period
from headrace_loader.sqlstate import CopyRefusedError, copy_errors
from headrace_loader.standing import LAST_PLACE, StoredContract
from headrace_shared.contract import Column, Contract
from headrace_shared.drop import Action, Drop, file_for_ledger
from headrace_shared.errors import HeadraceError, TransientError
from headrace_shared.file_formats import CsvFormat
from headrace_shared.final_events import Findings
from headrace_shared.identifiers import LINEAGE_COLUMN
from headrace_shared.reasons import LoadWarning

# The drops of a batch are like any others of the table if nothing that landed after the first of
# them bears on earlier drops, one contract is right for all of them and the table has its shape,
# and the versions of a key do not concern one another.
_FIT: Final[LiteralString] = """
    select contracts.drop_id, contracts.contract,
        array(select drop_id from headrace.ledger where drop_id = any(%(drop_ids)s))
    from headrace.contracts
    where drop_id = headrace.contract_of(%(db_name)s, %(table_name)s, %(last_place)s)
      and drop_id = headrace.contract_of(%(db_name)s, %(table_name)s, %(first)s)
      and not exists (select from headrace.ledger
        where db_name = %(db_name)s and table_name = %(table_name)s
          and action in ('truncate', 'upsert') and drop_id > %(first)s
          and outcome not in ('rejected', 'reverted'))
      and not exists (select from headrace.contracts
        where db_name = %(db_name)s and table_name = %(table_name)s and accepted
          and contract ->> 'on_reupload' <> 'append')
    """

_ENTER: Final[LiteralString] = """
    insert into headrace.ledger (drop_id, db_name, table_name, action, bucket, key, version_id,
        etag, size_bytes, sequencer, landed_at, started_at, applied_at, outcome, rows_loaded,
        told, contract_id, contract_order, file)
    select drop_id, %(db_name)s, %(table_name)s, 'append', bucket, key, version_id, etag,
        size_bytes, sequencer, landed_at, started_at, clock_timestamp(), 'loaded', rows_loaded,
        told, %(contract_id)s, drop_id, file
    from unnest(%(drop_ids)s::uuid[], %(buckets)s::text[], %(keys)s::text[], %(versions)s::text[],
        %(etags)s::text[], %(sizes)s::bigint[], %(sequencers)s::text[], %(landed)s::timestamptz[],
        %(started)s::timestamptz[], %(rows)s::bigint[], %(told)s::jsonb[],
        %(files)s::text[])
        as part (drop_id, bucket, key, version_id, etag, size_bytes, sequencer, landed_at,
            started_at, rows_loaded, told, file)
    -- In one order everywhere: two loaders with the same drops must not wait in a circle.
    order by drop_id
    on conflict do nothing returning drop_id, started_at, applied_at
    """


class ContendedError(HeadraceError):
    """Somebody else has entered a drop of the batch meanwhile: they have to be looked at alone."""


@dataclass(frozen=True, slots=True)
class Part:
    """One drop of a batch: its rows, each with the drop id as its last field, and its warnings."""

    drop: Drop
    started_at: datetime
    columns: tuple[Column, ...]
    content: bytes
    rows: int
    warnings: tuple[LoadWarning, ...]


class SharedLoad:
    """Open, with the table's lock shared with other appends; whoever opened it commits."""

    def __init__(self, connection: AsyncConnection[Any], drops: Sequence[Drop]) -> None:
        self._connection = connection
        self._drops = drops
        self._table = table.table_identifier(drops[0])

    async def begin(self) -> tuple[StoredContract | None, Collection[UUID]]:
        """The contract that is right for all the drops, and those that are not loaded yet; no
        contract if the drops have to be looked at one by one."""
        drop_ids = [drop.drop_id for drop in self._drops]
        cursor = await self._connection.execute(
            _FIT,
            {
                "db_name": self._drops[0].db_name,
                "table_name": self._drops[0].table_name,
                "drop_ids": drop_ids,
                "first": min(drop_ids),
                "last_place": LAST_PLACE,
            },
        )
        row = await cursor.fetchone()
        if row is None:
            return None, ()
        contract_id, document, known = row
        contract = Contract.model_validate(document)
        if Action.APPEND not in contract.allowed_operations:
            return None, ()
        return StoredContract(contract_id, contract), set(drop_ids) - set(known)

    async def bring(self, parts: Sequence[Part], contract: StoredContract) -> dict[UUID, Loaded]:
        """Copies the rows and enters the drops; the answer has the outcome of each drop that is
        loaded.

        A drop with a bad row is left out; the others are then copied once more, each by itself.

        Raises:
            ContendedError: somebody else has entered one of the drops meanwhile.
        """
        good: list[Part] = []
        dialect = contract.contract.format
        if not isinstance(dialect, CsvFormat):
            return {}
        by_columns = attrgetter("columns")
        for _, group in groupby(sorted(parts, key=_names), key=by_columns):
            good += await self._copied(list(group), dialect)
        entered = await self._enter(good, contract.contract_id) if good else {}
        return {
            part.drop.drop_id: Loaded(
                part.rows,
                contract.contract_id,
                warnings=part.warnings,
                period=entered[part.drop.drop_id],
            )
            for part in good
        }

    async def _copied(self, parts: list[Part], dialect: CsvFormat) -> list[Part]:
        if await self._copy(parts, dialect):
            return parts
        if len(parts) == 1:
            return []
        return [part for part in parts if await self._copy([part], dialect)]

    async def _copy(self, parts: Sequence[Part], dialect: CsvFormat) -> bool:
        columns = [column.name for column in parts[0].columns]
        headless = dialect.model_copy(update={"header": False})
        statement = copy_statement(self._table, [*columns, LINEAGE_COLUMN], headless)
        try:
            with copy_errors():
                async with self._connection.transaction(), self._connection.cursor() as cursor:
                    async with cursor.copy(statement) as copy:
                        await copy.write(b"".join(part.content for part in parts))
                    if cursor.rowcount != sum(part.rows for part in parts):
                        raise TransientError("COPY counted other rows than the files have")
        except CopyRefusedError:
            return False
        return True

    async def _enter(self, parts: Sequence[Part], contract_id: UUID) -> dict[UUID, Period]:
        drops = [part.drop for part in parts]
        cursor = await self._connection.execute(
            _ENTER,
            {
                "db_name": drops[0].db_name,
                "table_name": drops[0].table_name,
                "contract_id": contract_id,
                "drop_ids": [drop.drop_id for drop in drops],
                "buckets": [drop.bucket for drop in drops],
                "keys": [drop.key for drop in drops],
                "versions": [drop.version_id for drop in drops],
                "etags": [drop.etag for drop in drops],
                "sizes": [drop.size_bytes for drop in drops],
                "sequencers": [drop.sequencer for drop in drops],
                "landed": [drop.landed_at for drop in drops],
                "started": [part.started_at for part in parts],
                "rows": [part.rows for part in parts],
                "files": [file_for_ledger(drop) for drop in drops],
                "told": [jsonb(Findings(warnings=part.warnings).as_document()) for part in parts],
            },
        )
        entered = {drop_id: Period(*times) for drop_id, *times in await cursor.fetchall()}
        if len(entered) != len(parts):
            raise ContendedError("another loader has loaded a drop of this batch")
        return entered


def _names(part: Part) -> list[str]:
    return [column.name for column in part.columns]
