"""May a column have this type, which is one of the warehouse's own? Postgres answers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final, LiteralString

from psycopg import AsyncConnection

from headrace_shared.column_types import is_named

# What a type is made of: the elements of an array, the base of a domain, the bounds of a range.
# https://www.postgresql.org/docs/current/catalog-pg-type.html
_PARTS: Final[LiteralString] = r"""
    with recursive asked as (
        select given, to_regtype(given)::oid as oid from unnest(%s::text[]) as given
    ), part as (
        select given, oid from asked where oid is not null
        union
        select part.given, coalesce(nullif(typbasetype, 0),
            case when typcategory = 'A' then nullif(typelem, 0) end,
            (select rngsubtype from pg_range where pg_type.oid in (rngtypid, rngmultitypid)))
        from part join pg_type on pg_type.oid = part.oid
    )
    select asked.given,
        case when nspname = 'public' and format_type(asked.oid, to_regtypemod(asked.given))
            !~ '^public\.' then 'public.' else '' end
            || format_type(asked.oid, to_regtypemod(asked.given)),
        array(select array[pg_type.typtype::text, of_part.nspname, pg_type.typname]
            from part join pg_type on pg_type.oid = part.oid
            join pg_namespace as of_part on of_part.oid = pg_type.typnamespace
            where part.given = asked.given)
    from asked left join pg_type as whole on whole.oid = asked.oid
    left join pg_namespace on pg_namespace.oid = whole.typnamespace
    """

_KNOWN: Final = frozenset(
    {
        *("int2", "int4", "int8", "float4", "float8", "numeric", "bool", "text", "varchar"),
        *("bpchar", "uuid", "json", "jsonb", "inet", "cidr", "macaddr", "macaddr8", "interval"),
        *("bytea", "bit", "varbit"),
    }
)
_TIMES: Final = frozenset({"date", "time", "timetz", "timestamp", "timestamptz"})
_CATALOG: Final = "pg_catalog"
_BASE, _COMPOSITE, _PSEUDO = "b", "c", "p"


async def refused(connection: AsyncConnection[Any], kinds: Collection[str]) -> dict[str, str]:
    """The types that no column may have, each with the end of a sentence that says why."""
    asked = sorted({kind for kind in kinds if is_named(kind)})
    if not asked:
        return {}
    cursor = await connection.execute(_PARTS, [asked])
    found = {given: _fault(given, name, parts) for given, name, parts in await cursor.fetchall()}
    return {given: why for given, why in found.items() if why}


def _fault(given: str, name: str | None, parts: Sequence[Sequence[str]]) -> str:
    if name is None:
        return "is not in the warehouse"
    if name != given:
        return f"is written {name}"
    faults = (_part_fault(*part) for part in parts)
    return next(filter(None, faults), "")


def _part_fault(kind: str, schema: str, name: str) -> str:
    if kind in (_COMPOSITE, _PSEUDO):
        return "is not one of single values"
    if kind != _BASE or schema != _CATALOG or name in _KNOWN or name.startswith("_"):
        return ""
    if name in _TIMES:
        return "holds dates or times, which Postgres reads by the clock and by settings"
    return f"is made of {name}, which no column may have"
