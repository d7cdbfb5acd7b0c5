"""The query parameters of `GET /v1/drops`, checked beyond what a schema can say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import Path, Query, Request
from pydantic import AwareDatetime

from headrace_api.examples import CURSOR, DAY, DB_NAME, DROP_ID, KEY, LANDED, TABLE_NAME
from headrace_api.problems import invalid_parameter, not_found, unknown_parameter
from headrace_shared.identifiers import RULE, safe_identifier, safe_schema
from headrace_shared.log_schema import State

DEFAULT_LIMIT = 50
MOST_ITEMS = 500


@dataclass(frozen=True, slots=True)
class DropQuestion:
    """What is asked; every part that is None leaves it open."""

    db_name: str | None
    table_name: str | None
    landed_from: datetime | None
    landed_to: datetime | None
    state: State | None
    key: str | None
    limit: int
    cursor: str | None

    @property
    def filters(self) -> dict[str, str | None]:
        """What a cursor is bound to."""
        return {
            "db_name": self.db_name,
            "table_name": self.table_name,
            "landed_from": self.landed_from.isoformat() if self.landed_from else None,
            "landed_to": self.landed_to.isoformat() if self.landed_to else None,
            "state": self.state,
            "key": self.key,
        }


@dataclass(frozen=True, slots=True)
class Page:
    """Which page of a list is asked for."""

    limit: int
    cursor: str | None


DropId = Annotated[UUID, Path(description="The drop's id.", examples=[DROP_ID])]

_Limit = Annotated[
    int, Query(ge=1, le=MOST_ITEMS, description="The most items of one page.", examples=[100])
]
_Cursor = Annotated[
    str | None,
    Query(description="next_cursor of the page before.", max_length=200, examples=[CURSOR]),
]


# The framework runs a dependency that is no coroutine in a thread: several times its own work.
async def paging(limit: _Limit = DEFAULT_LIMIT, cursor: _Cursor = None) -> Page:
    """The page of a request."""
    return Page(limit, cursor)


DbName = Annotated[str, Path(description="The table's database.", examples=[DB_NAME])]
TableName = Annotated[str, Path(description="Its name.", examples=[TABLE_NAME])]


def table_place(db_name: str, table_name: str) -> tuple[str, str]:
    """A table, as the warehouse spells it.

    Raises:
        ApiError: no table can have this name.
    """
    schema, name = safe_schema(db_name), safe_identifier(table_name)
    if schema is None or name is None:
        raise not_found(f"No table can have this name; a name is {RULE}.")
    return schema, name


async def drop_question(  # noqa: PLR0913, PLR0917 - each is a query parameter
    request: Request,
    db_name: Annotated[
        str | None, Query(description="The database; needs table_name.", examples=[DB_NAME])
    ] = None,
    table_name: Annotated[
        str | None, Query(description="The table, in any database.", examples=[TABLE_NAME])
    ] = None,
    landed_timestamp: Annotated[
        AwareDatetime | None,
        Query(description="Landed in exactly this second (RFC 3339).", examples=[LANDED]),
    ] = None,
    landed_from: Annotated[
        AwareDatetime | None, Query(description="Landed in this second or later.", examples=[DAY])
    ] = None,
    landed_to: Annotated[
        AwareDatetime | None,
        Query(description="Landed in this second or earlier.", examples=[LANDED]),
    ] = None,
    state: Annotated[
        State | None, Query(description="Only drops in this state.", examples=[State.REJECTED])
    ] = None,
    key: Annotated[
        str | None,
        Query(
            description="Only drops of exactly this object key.", max_length=1024, examples=[KEY]
        ),
    ] = None,
    limit: _Limit = DEFAULT_LIMIT,
    cursor: _Cursor = None,
) -> DropQuestion:
    """The question of a request.

    Raises:
        ApiError: the parameters do not go together.
    """
    refuse_unknown(request)
    if landed_timestamp is not None and (landed_from or landed_to):
        raise invalid_parameter(
            "landed_timestamp", "landed_timestamp does not go with landed_from or landed_to."
        )
    if db_name is not None and table_name is None:
        raise invalid_parameter("db_name", "db_name needs table_name beside it.")
    if landed_from and landed_to and landed_from > landed_to:
        raise invalid_parameter("landed_from", "landed_from must not be later than landed_to.")
    if db_name is not None and safe_schema(db_name) is None:
        raise invalid_parameter("db_name", "db_name cannot be the name of a database.")
    if table_name is not None and safe_identifier(table_name) is None:
        raise invalid_parameter("table_name", "table_name cannot be the name of a table.")
    return DropQuestion(
        db_name=db_name and db_name.lower(),
        table_name=table_name and table_name.lower(),
        landed_from=_in_utc(landed_timestamp or landed_from, "landed_from"),
        landed_to=_in_utc(landed_timestamp or landed_to, "landed_to"),
        state=state,
        key=key,
        limit=limit,
        cursor=cursor,
    )


def refuse_unknown(request: Request) -> None:
    """Raises ApiError where a query parameter is none of the operation's."""
    known = {parameter.alias for parameter in request.scope["route"].dependant.query_params}
    for dependency in request.scope["route"].dependant.dependencies:
        known |= {parameter.alias for parameter in dependency.query_params}
    for name in request.query_params:
        if name not in known:
            raise unknown_parameter(name, known)


def _in_utc(moment: datetime | None, parameter: str) -> datetime | None:
    if moment is None:
        return None
    try:
        return moment.astimezone(UTC).replace(microsecond=0)
    except OverflowError:
        raise invalid_parameter(parameter, f"{parameter} is out of range.") from None
