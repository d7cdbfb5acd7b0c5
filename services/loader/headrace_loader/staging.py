"""Rows that cannot go straight into their table: they are staged first, in a table of their own
that ends with the transaction, and brought into it by statements that know their place.

That is so for an upsert, for an append that a later upsert may bear on, and for a file that is
read under another contract than the one that the table has the shape of.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from psycopg import AsyncConnection, sql

from headrace_loader import in_place
from headrace_loader.key_values import NO_EXTRAS, Extras
from headrace_loader.sql_parameters import with_parameters
from headrace_loader.sqlstate import copy_errors
from headrace_shared.contract import Contract
from headrace_shared.drop import Drop
from headrace_shared.identifiers import LINE_COLUMN, LINEAGE_COLUMN

STAGED: Final = sql.Identifier("pg_temp", "staged")

_LINE: Final = sql.Identifier(LINE_COLUMN)

_LINEAGE: Final = sql.Identifier(LINEAGE_COLUMN)


@dataclass(frozen=True, slots=True)
class Place:
    """A table that rows go into.

    Args:
        db_name, table_name: how `headrace.removed_keys` names it.
        counted: the ledger is told of the rows that leave it.
    """

    identifier: sql.Identifier
    db_name: str
    table_name: str
    counted: bool = True


@dataclass(frozen=True, slots=True)
class Target:
    """A place, and the contract that it has the shape of."""

    place: Place
    contract: Contract


@dataclass(frozen=True, slots=True)
class KeyFault:
    """A value of a row, as Postgres writes it, and the other one in the file's key."""

    column: str
    in_key: str | None
    value: str | None


class Staging:
    """The staged rows of one drop, read under `contract`, on their way into `target`.

    Args:
        carried: the columns whose values reach the target, with the types that they pass through.
        extras: what the file has beside fields that go into columns one by one.

    Attributes:
        in_place: an upsert updates the rows whose keys it has, in place of a new row for each.
    """

    def __init__(
        self,
        connection: AsyncConnection[Any],
        drop: Drop,
        contract: Contract,
        target: Target,
        carried: Mapping[str, tuple[str, ...]],
        extras: Extras = NO_EXTRAS,
    ) -> None:
        self._extras = extras
        self._connection = connection
        self._drop = drop
        self._contract = contract
        self._target = target
        self._carried = carried
        self._own_keys = [sql.Identifier(name) for name in contract.primary_key]
        self._values = {
            "drop_id": drop.drop_id,
            "db_name": target.place.db_name,
            "table_name": target.place.table_name,
        }
        self.in_place = False
        self._left_out: list[int] = []

    async def make(self) -> None:
        """An empty staging table with the contract's columns; those that the key alone has a value
        for are filled by their defaults."""
        columns = [
            sql.SQL("{} {}{} default {}").format(
                sql.Identifier(column.name),
                # One of an allow-list's own spellings, never the user's text.
                sql.SQL(column.type),
                sql.SQL("" if column.nullable else " not null"),
                sql.Literal(self._extras.filled.get(column.name)),
            )
            for column in self._contract.columns
        ]
        columns += [
            sql.SQL("{} text").format(sql.Identifier(name))
            for name in sorted(self._extras.left_out)
        ]
        await self._connection.execute(
            sql.SQL(
                "create temporary table {} ({}, {} bigint generated always as identity) "
                "on commit drop"
            ).format(sql.Identifier("staged"), sql.SQL(", ").join(columns), _LINE)
        )

    async def keep_last_of_each_key(self) -> None:
        """Of several rows with one key in a file, the last one counts."""
        await self._execute(
            sql.SQL(
                "delete from {staged} where ctid in (select ctid from (select ctid, "
                "row_number() over (partition by {keys} order by {line} desc) as place "
                "from {staged}) as numbered where place > 1)"
            ).format(staged=STAGED, keys=sql.SQL(", ").join(self._own_keys), line=_LINE)
        )
        await self._connection.execute(sql.SQL("analyze {}").format(STAGED))

    async def keys_fingerprint(self) -> str:
        """Names the set of the staged keys: the key's columns, how many keys, and the sums of two
        64-bit hashes of them. Equal fingerprints of two loads of one drop mean equal keys."""
        cursor = await self._connection.execute(
            sql.SQL(
                "select count(*), coalesce(sum(hashtextextended(key, 0)), 0), "
                "coalesce(sum(hashtextextended(key, 1)), 0) "
                "from (select jsonb_build_array({keys})::text as key from {staged}) as one"
            ).format(keys=sql.SQL(", ").join(self._own_keys), staged=STAGED)
        )
        sums = await cursor.fetchone() or ()
        return " ".join([",".join(self._contract.primary_key), *map(str, sums)])

    async def places(self, lines: Sequence[int]) -> dict[int, int]:
        """The places of staged rows among all that were staged, counted from 0.

        Args:
            lines: their line numbers, which have gaps.
        """
        cursor = await self._connection.execute(
            sql.SQL(
                "select {line}, place from (select {line}, row_number() over (order by {line}) - 1 "
                "as place from {staged}) as numbered where {line} = any(%s)"
            ).format(line=_LINE, staged=STAGED),
            [list(lines)],
        )
        return {
            line: place + bisect_left(self._left_out, line)
            for line, place in await cursor.fetchall()
        }

    async def other_than_key(self, most: int) -> dict[int, tuple[KeyFault, ...]]:
        """The rows with another value than the file's key has, by their line numbers.

        Args:
            most: so many rows are looked for.
        """
        compared = self._extras.compared
        if not compared:
            return {}
        parts = [self._differs(name, value) for name, value in compared.items()]
        cursor = await self._connection.execute(
            sql.SQL(
                "select {line}, {parts} from {staged} where {any} order by {line} limit {most}"
            ).format(
                line=_LINE,
                parts=sql.SQL(", ").join(
                    sql.SQL("{}, {}::text").format(part, sql.Identifier(name))
                    for part, name in zip(parts, compared, strict=True)
                ),
                staged=STAGED,
                any=sql.SQL(" or ").join(parts),
                most=sql.Literal(most),
            )
        )
        return {
            line: tuple(
                KeyFault(name, compared[name], value)
                for name, differs, value in zip(compared, told[::2], told[1::2], strict=True)
                if differs
            )
            for line, *told in await cursor.fetchall()
        }

    def _differs(self, name: str, value: str | None) -> sql.Composed:
        declared = self._contract.by_name[name].type
        # json has no equality.
        kind = sql.SQL("jsonb" if declared == "json" else declared)
        return sql.SQL("({}::{} is distinct from {}::text::{})").format(
            sql.Identifier(name), kind, sql.Literal(value), kind
        )

    async def lines_of(self, places: Sequence[int]) -> dict[int, int]:
        """The line numbers of staged rows, by their places among all that were staged, counted
        from 0; those that are left out are not there."""
        if not places:
            return {}
        first, last = min(places) - len(self._left_out), max(places)
        cursor = await self._connection.execute(
            sql.SQL(
                "select {line}, place from (select {line}, row_number() over (order by {line}) - 1 "
                "as place from {staged}) as numbered where place between %s and %s"
            ).format(line=_LINE, staged=STAGED),
            [first, last],
        )
        found = {
            place + bisect_left(self._left_out, line): line
            for line, place in await cursor.fetchall()
        }
        return {place: found[place] for place in places if place in found}

    async def leave_out(self, lines: Sequence[int]) -> None:
        """Takes staged rows out, by their line numbers."""
        self._left_out = sorted([*self._left_out, *lines])
        await self._connection.execute(
            sql.SQL("delete from {} where {} = any(%s)").format(STAGED, _LINE), [list(lines)]
        )

    async def index_lines(self) -> None:
        """Makes the insertion of rows with some line numbers fast."""
        await self._connection.execute(sql.SQL("create index on {} ({})").format(STAGED, _LINE))

    async def lines(self) -> range:
        """The line numbers of the staged rows; there may be gaps in it."""
        cursor = await self._connection.execute(
            sql.SQL("select min({line}), max({line}) from {staged}").format(
                line=_LINE, staged=STAGED
            )
        )
        row = await cursor.fetchone()
        assert row is not None
        first, last = row
        return range(0) if first is None else range(first, last + 1)

    def savepoint(self, *, keep: bool = True) -> AbstractAsyncContextManager[Any]:
        """What is done within is done wholly or not at all; never, unless it is to be kept."""
        return self._connection.transaction(force_rollback=not keep)

    async def check_at_once(self) -> None:
        """Has the target's deferred constraints checked with each statement, until the savepoint
        ends.

        Raises:
            CopyRefusedError: what was done before breaks one of them.
        """
        place = self._target.place
        cursor = await self._connection.execute(
            "select conname from pg_constraint join pg_class on pg_class.oid = conrelid "
            "join pg_namespace on pg_namespace.oid = relnamespace "
            "where nspname = %s and relname = %s and condeferred",
            [place.db_name, place.table_name],
        )
        names = [sql.Identifier(place.db_name, name) for (name,) in await cursor.fetchall()]
        if names:
            with copy_errors():
                await self._connection.execute(
                    sql.SQL("set constraints {} immediate").format(sql.SQL(", ").join(names))
                )

    async def leave_out_overtaken(self) -> None:
        """Takes out the staged rows whose key a later upsert has set or removed."""
        if not self._target.contract.primary_key:
            return
        await self._execute(
            sql.SQL(
                "delete from {staged} as staged using headrace.removed_keys as removed "
                "where removed.db_name = %(db_name)s and removed.table_name = %(table_name)s "
                "and removed.drop_id > %(drop_id)s and removed.key = {key}"
            ).format(staged=STAGED, key=self._key_of("staged", self._contract))
        )
        await self._execute(
            sql.SQL(
                "delete from {staged} as staged using (select distinct {target_key} as key "
                "from {target} as target join headrace.ledger on ledger.drop_id = target.{lineage} "
                "where target.{lineage} > %(drop_id)s and ledger.action = 'upsert') as later "
                "where later.key = {key}"
            ).format(
                staged=STAGED,
                target=self._target.place.identifier,
                lineage=_LINEAGE,
                target_key=self._key_of("target", self._target.contract),
                key=self._key_of("staged", self._contract),
            )
        )

    async def replace_earlier(self) -> None:
        """Takes the earlier rows of the staged keys out of the table; the drops that brought them
        are charged with it."""
        conditions = [_equal(self._own_keys, self._nullable_keys(), present=True)]
        if self._nullable_keys() and await self._has_null_keys():
            conditions.append(_equal(self._own_keys, self._nullable_keys(), present=False))
        if self.in_place:
            await self._match(conditions)
        for match in conditions:
            await self._delete_matching(match)
        await self._execute(
            sql.SQL(
                "delete from headrace.removed_keys as removed using {staged} as staged "
                "where removed.db_name = %(db_name)s and removed.table_name = %(table_name)s "
                "and removed.drop_id < %(drop_id)s and removed.key = {key}"
            ).format(staged=STAGED, key=self._key_of("staged", self._contract))
        )

    async def insert(self, lines: range | None = None) -> int:
        """Inserts the staged rows into the table, except those that only remove their key; answers
        with how many rows went in.

        Args:
            lines: only rows with these line numbers.

        Raises:
            CopyRefusedError: the table refuses a row.
        """
        within: sql.Composable = sql.SQL("")
        values = self._values
        if lines is not None:
            within = sql.SQL(" and staged.{} between %(first)s and %(last)s").format(_LINE)
            values = values | {"first": lines.start, "last": lines.stop - 1}
        statements = [self._insertion(within)]
        if self.in_place:
            statements.insert(0, self._update(within))
        with copy_errors():
            return sum(
                [
                    (await self._connection.execute(with_parameters(one), values)).rowcount
                    for one in statements
                ]
            )

    async def note_removed(self, *, all_keys: bool) -> None:
        """Notes the keys that this upsert removed, for drops that come late.

        Args:
            all_keys: none of its rows goes in, so every key that it set is noted.
        """
        await self._execute(
            sql.SQL(
                "insert into headrace.removed_keys (db_name, table_name, key, drop_id) "
                "select %(db_name)s, %(table_name)s, {key}, %(drop_id)s from {staged} as staged "
                "where {which}"
            ).format(
                key=self._key_of("staged", self._contract),
                staged=STAGED,
                which=sql.SQL("true") if all_keys else self._removes(),
            )
        )

    def _insertion(self, within: sql.Composable) -> sql.Composed:
        taken = self._taken()
        return sql.SQL(
            "insert into {target} ({columns}) select {values} from {staged} as staged "
            "where not {removes}{within}{unmatched} order by {line}"
        ).format(
            target=self._target.place.identifier,
            columns=sql.SQL(", ").join(map(sql.Identifier, taken)),
            values=sql.SQL(", ").join(taken.values()),
            staged=STAGED,
            removes=self._removes(),
            within=within,
            unmatched=in_place.unmatched(_LINE) if self.in_place else sql.SQL(""),
            line=_LINE,
        )

    def _update(self, within: sql.Composable) -> sql.Composed:
        absent = [name for name in self._target.contract.by_name if name not in self._carried]
        values = dict.fromkeys(absent, sql.SQL("default")) | self._taken()
        return in_place.update(self._target.place.identifier, STAGED, _LINE, values, within)

    def _taken(self) -> dict[str, sql.Composable]:
        """The columns of the table that the staged rows fill, with their values."""
        values: dict[str, sql.Composable] = {
            name: passed(sql.Identifier("staged", name), types)
            for name, types in self._carried.items()
        }
        return values | {LINEAGE_COLUMN: sql.Placeholder("drop_id")}

    async def _match(self, conditions: Sequence[sql.Composable]) -> None:
        joined = [
            sql.SQL(
                "from {target} as target join {staged} as staged on {match} "
                "where (target.{lineage} < %(drop_id)s or target.{lineage} is null)"
            ).format(
                target=self._target.place.identifier, staged=STAGED, match=match, lineage=_LINEAGE
            )
            for match in conditions
        ]
        await in_place.match(self._connection, joined, _LINE, self._removes(), self._values)

    async def _delete_matching(self, match: sql.Composable) -> None:
        await self._execute(
            sql.SQL(
                "with gone as (delete from {target} as target using {staged} as staged "
                "where {match} and (target.{lineage} < %(drop_id)s or target.{lineage} is null)"
                "{spared} returning target.{lineage} as drop_id){charged} select count(*) from gone"
            ).format(
                target=self._target.place.identifier,
                staged=STAGED,
                match=match,
                spared=in_place.SPARED if self.in_place else sql.SQL(""),
                lineage=_LINEAGE,
                charged=_charged(self._target.place),
            )
        )

    async def _has_null_keys(self) -> bool:
        null = sql.SQL(" or ").join(
            sql.SQL("{} is null").format(key) for key in self._nullable_keys()
        )
        cursor = await self._connection.execute(
            sql.SQL("select exists (select from {} where {})").format(STAGED, null)
        )
        row = await cursor.fetchone()
        return bool(row and row[0])

    def _nullable_keys(self) -> list[sql.Identifier]:
        columns = self._contract.by_name
        return [
            sql.Identifier(name) for name in self._contract.primary_key if columns[name].nullable
        ]

    def _removes(self) -> sql.Composable:
        flag = self._contract.delete_flag
        if flag is None or self._drop.action != "upsert":
            return sql.SQL("false")
        return sql.SQL("({} is true)").format(sql.Identifier("staged", flag))

    def _key_of(self, alias: str, contract: Contract) -> sql.Composed:
        """The key of the table as one value, which compares nulls as equal; a key column that the
        contract does not have is null."""
        shape = self._target.contract
        parts = [
            sql.SQL("{}::{}").format(sql.Identifier(alias, name), sql.SQL(shape.by_name[name].type))
            if name in contract.by_name
            else sql.SQL("null::text")
            for name in shape.primary_key
        ]
        return sql.SQL("jsonb_build_array({})").format(sql.SQL(", ").join(parts))

    async def _execute(self, statement: sql.Composed) -> int:
        cursor = await self._connection.execute(with_parameters(statement), self._values)
        return cursor.rowcount


async def take_out(
    connection: AsyncConnection[Any], target: Target, drop_ids: Sequence[UUID], *, upserts: bool
) -> int:
    """Takes the rows of drops out of their table; answers with how many there were.

    Args:
        upserts: the drops are upserts: what they had taken away stays away, so their keys are
            noted.
    """
    key = sql.SQL("jsonb_build_array({})").format(
        sql.SQL(", ").join(map(sql.Identifier, target.contract.primary_key))
    )
    noted = sql.SQL(
        ", noted as (insert into headrace.removed_keys (db_name, table_name, key, drop_id) "
        "select distinct %(db_name)s, %(table_name)s, key, drop_id from gone)"
    )
    statement = sql.SQL(
        "with gone as (delete from {target} where {lineage} = any(%(drop_ids)s) "
        "returning {lineage} as drop_id, {key} as key){charged}{noted} "
        "select count(*) from gone"
    ).format(
        target=target.place.identifier,
        lineage=_LINEAGE,
        key=key,
        charged=_charged(target.place),
        noted=noted if upserts and target.contract.primary_key else sql.SQL(""),
    )
    cursor = await connection.execute(
        with_parameters(statement),
        {
            "drop_ids": list(drop_ids),
            "db_name": target.place.db_name,
            "table_name": target.place.table_name,
        },
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


def passed(column: sql.Identifier, types: Sequence[str]) -> sql.Composed:
    """The values of a column, cast through these types, which are an allow-list's own
    spellings."""
    return column + sql.SQL("").join(sql.SQL("::{}").format(sql.SQL(kind)) for kind in types)


def _charged(place: Place) -> sql.SQL:
    """The part of a statement that tells the ledger which drops lost the rows that are `gone`."""
    if not place.counted:
        return sql.SQL("")
    return sql.SQL(
        ", counted as (select drop_id, count(*) as rows from gone group by drop_id), "
        "charged as (update headrace.ledger set rows_removed = rows_removed + counted.rows "
        "from counted where ledger.drop_id = counted.drop_id)"
    )


def _equal(
    keys: Sequence[sql.Identifier], nullable: Sequence[sql.Identifier], *, present: bool
) -> sql.Composable:
    """The condition that a row of the table has a staged row's key.

    Args:
        present: for staged rows with no null in their key, whose comparison an index serves;
            else for the others, of which there are few.
    """
    if present:
        return sql.SQL(" and ").join(
            sql.SQL("target.{key} = staged.{key}").format(key=key) for key in keys
        )
    same = sql.SQL(" and ").join(
        sql.SQL("target.{key} is not distinct from staged.{key}").format(key=key) for key in keys
    )
    null = sql.SQL(" or ").join(sql.SQL("staged.{} is null").format(key) for key in nullable)
    return sql.SQL("({}) and ({})").format(same, null)
