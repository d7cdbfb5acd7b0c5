"""An upsert that updates rows where they are, in a table that people use for more than Headrace.

A row that is deleted and inserted again would lose what columns outside the contract hold, and
other tables may refer to it by a foreign key. The rows to update are noted first, and locked, for
people may write into their own columns meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from psycopg import AsyncConnection, sql

from headrace_shared.identifiers import LINEAGE_COLUMN

_MATCHED: Final = sql.Identifier("pg_temp", "matched")
_LINEAGE: Final = sql.Identifier(LINEAGE_COLUMN)

SPARED: Final = sql.SQL(
    " and not exists (select from {} as matched "
    "where matched.part = target.tableoid and matched.place = target.ctid)"
).format(_MATCHED)
"""The condition that a row of the target is not to be updated."""


async def match(
    connection: AsyncConnection[Any],
    joined: Sequence[sql.Composed],
    line: sql.Identifier,
    removes: sql.Composable,
    values: Mapping[str, Any],
) -> None:
    """Notes for each staged row the one row of the target that it updates, the latest one of its
    key; the drops that wrote these rows are charged with it.

    Args:
        joined: the target and the staged rows, joined by their keys, earlier drops only.
        line: the column of the staged rows that numbers them.
        removes: the condition that a staged row only removes its key.
    """
    await connection.execute(
        "create temporary table matched (line bigint primary key, part oid, place tid, "
        "drop_id uuid) on commit drop"
    )
    for join in joined:
        locked = sql.SQL("select count(*) from (select {} for update of target) as locked")
        await connection.execute(locked.format(join), values)
        await connection.execute(
            sql.SQL(
                "insert into {matched} select distinct on (staged.{line}) staged.{line}, "
                "target.tableoid, target.ctid, target.{lineage} {join} and not {removes} "
                "order by staged.{line}, target.{lineage} desc nulls last, target.ctid"
            ).format(matched=_MATCHED, line=line, lineage=_LINEAGE, join=join, removes=removes),
            values,
        )
    await connection.execute(
        sql.SQL(
            "update headrace.ledger set rows_removed = rows_removed + counted.rows "
            "from (select drop_id, count(*) as rows from {} group by drop_id) as counted "
            "where ledger.drop_id = counted.drop_id"
        ).format(_MATCHED)
    )


def update(
    target: sql.Identifier,
    staged: sql.Identifier,
    line: sql.Identifier,
    columns: Mapping[str, sql.Composable],
    lines: sql.Composable,
) -> sql.Composed:
    """The statement that updates the rows that are noted.

    Args:
        columns: the value of each column, of the staged row.
        lines: a further condition, which begins with `and`.
    """
    values = [sql.SQL("{} = {}").format(sql.Identifier(name), columns[name]) for name in columns]
    return sql.SQL(
        "update {target} as target set {values} from {staged} as staged join {matched} as matched "
        "on matched.line = staged.{line} "
        "where target.tableoid = matched.part and target.ctid = matched.place{lines}"
    ).format(
        target=target,
        values=sql.SQL(", ").join(values),
        staged=staged,
        matched=_MATCHED,
        line=line,
        lines=lines,
    )


def unmatched(line: sql.Identifier) -> sql.Composed:
    """The condition that a staged row updates none; begins with `and`."""
    return sql.SQL(
        " and not exists (select from {} as matched where matched.line = staged.{})"
    ).format(_MATCHED, line)
