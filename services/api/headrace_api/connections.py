"""The API's connections to the warehouse: read-only, with time limits, and replaced when the server
has ended them.

The server may end a connection while it is idle (a rotation, a failover, an operator). This side
sees it a moment later: a connection that is taken within that moment looks alive, and its first
statement fails. So what is read is read once more, by a connection that has just answered.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Final, TypeVar

import psycopg
from psycopg import AsyncConnection, IsolationLevel
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import AsyncConnectionPool

from headrace_shared.errors import TransientError
from headrace_shared.warehouse_access import KEEPALIVES, WarehouseAccess

_POOL_WAIT_SECONDS: Final = 3.0
_CONNECTING: Final = {"connect_timeout": 3, **KEEPALIVES}
_MARGIN_SECONDS: Final = 5.0
"""A question has its own time limit in the server. A server that keeps to none, frozen or cut off
behind the network, is away so much later."""

_ENDED_BY_THE_SERVER: Final = ("57P", "25P03")
"""SQLSTATEs (or their beginning) of an operator's intervention and of the server's own time limits.
https://www.postgresql.org/docs/current/errcodes-appendix.html"""

Result = TypeVar("Result")


class ConnectionLostError(TransientError):
    """The server ended the connection."""


async def refuse_superuser(access: WarehouseAccess) -> None:
    """Looks once, where the warehouse answers: the API also starts while it is away.

    Raises:
        SuperuserRefusedError: the role is a superuser, and no setting allows that.
    """
    with suppress(psycopg.Error, TransientError):
        known = conninfo_to_dict(access.dsn, **await access.parameters())
        connection = await AsyncConnection.connect(
            make_conninfo(**{**access.trusting(known), **_CONNECTING})
        )
        async with connection:
            access.refuse_superuser(connection.info.parameter_status("is_superuser"))


class Connections:
    """Raises TransientError when the warehouse cannot be reached."""

    def __init__(
        self, pool: AsyncConnectionPool[AsyncConnection[Any]], statement_timeout_seconds: float
    ) -> None:
        self._pool = pool
        self._seconds = statement_timeout_seconds

    @classmethod
    @asynccontextmanager
    async def open(
        cls, access: WarehouseAccess, *, connections: int, statement_timeout_seconds: float
    ) -> AsyncIterator[Connections]:
        """Does not wait for the warehouse to answer."""

        async def conninfo() -> str:
            # What it raises, psycopg's pool logs as it does a refused connection.
            known = conninfo_to_dict(access.dsn, **await access.parameters())
            return make_conninfo(**{**access.trusting(known), **_CONNECTING})

        async def configure(connection: AsyncConnection[Any]) -> None:
            access.refuse_superuser(connection.info.parameter_status("is_superuser"))
            await _configure(connection, statement_timeout_seconds)

        pool: AsyncConnectionPool[AsyncConnection[Any]] = AsyncConnectionPool(
            conninfo,
            min_size=0,
            max_size=connections,
            timeout=_POOL_WAIT_SECONDS,
            # The pool's own back-off doubles for five minutes: after an outage it would sleep on
            # while Postgres is back. So each question that finds none begins anew.
            reconnect_timeout=_POOL_WAIT_SECONDS,
            kwargs={"autocommit": True},
            configure=configure,
            check=_check,
            open=False,
        )
        await pool.open(wait=False)
        try:
            yield cls(pool, statement_timeout_seconds)
        finally:
            await pool.close()

    def figures(self) -> dict[str, int]:
        """The pool's figures at this moment, by psycopg's own names."""
        return self._pool.get_stats()

    async def read(self, work: Callable[[AsyncConnection[Any]], Awaitable[Result]]) -> Result:
        """What `work` reads; it runs a second time if the server ended its first connection.

        Raises:
            ConnectionLostError: the server ended the second one, too.
        """
        try:
            async with self._taken(self._seconds) as connection:
                return await work(connection)
        except ConnectionLostError:
            async with self.answering() as connection:
                return await work(connection)

    @asynccontextmanager
    async def answering(self, seconds: float | None = None) -> AsyncIterator[AsyncConnection[Any]]:
        """A connection that has just answered, which costs a round trip.

        Args:
            seconds: how long its questions may take together, if not as long as one usually may.
        """
        limit = self._seconds if seconds is None else seconds
        async with AsyncExitStack() as stack:
            yield await self._first_that_answers(stack, limit)

    async def _first_that_answers(
        self, stack: AsyncExitStack, seconds: float
    ) -> AsyncConnection[Any]:
        # All that the pool holds may have been ended at once; each leaves it here.
        for _ in range(self._pool.max_size):
            connection = await stack.enter_async_context(self._taken(seconds))
            with suppress(psycopg.OperationalError):
                await AsyncConnectionPool.check_connection(connection)
                return connection
            await stack.aclose()
        return await stack.enter_async_context(self._taken(seconds))

    @asynccontextmanager
    async def _taken(self, seconds: float) -> AsyncIterator[AsyncConnection[Any]]:
        connection: AsyncConnection[Any] | None = None
        try:
            async with (
                self._pool.connection() as connection,
                asyncio.timeout(_MARGIN_SECONDS + seconds),
            ):
                yield connection
        except psycopg.Error as error:
            kind = ConnectionLostError if _is_lost(error, connection) else TransientError
            raise kind(f"the warehouse: {error}") from error
        except TimeoutError as error:
            raise TransientError("the warehouse: it does not answer") from error


async def _configure(connection: AsyncConnection[Any], statement_timeout_seconds: float) -> None:
    await connection.execute(
        "select set_config('statement_timeout', %s, false), "
        "set_config('application_name', 'headrace-api', false), "
        "set_config('default_transaction_read_only', 'on', false), "
        # How rows are written must not depend on the settings of the server or of a role.
        "set_config('timezone', 'UTC', false), set_config('datestyle', 'ISO', false), "
        "set_config('extra_float_digits', '1', false), "
        # Not the schema of the role's own name, which may be a db_name.
        "set_config('search_path', 'public', false)",
        [str(round(statement_timeout_seconds * 1000))],
    )
    # Of transactions that are begun, as streams are: all of one moment.
    await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
    await connection.set_read_only(True)


async def _check(connection: AsyncConnection[Any]) -> None:
    """Raises OperationalError where the server has ended the connection while it was idle.

    The server sends a message, or closes it: then there is something to read, which there never is
    otherwise. To ask it each time would double the round trips of most questions.
    """
    waiting = select.poll()
    waiting.register(connection.fileno(), select.POLLIN)
    if waiting.poll(0):
        await AsyncConnectionPool.check_connection(connection)


def _is_lost(error: psycopg.Error, connection: AsyncConnection[Any] | None) -> bool:
    if connection is None:  # there was none to be had
        return False
    return connection.closed or (error.sqlstate or "").startswith(_ENDED_BY_THE_SERVER)
