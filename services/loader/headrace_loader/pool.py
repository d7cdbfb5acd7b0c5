"""The loader's connections to the warehouse, and why there is none when there is none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Self

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from headrace_shared.errors import AwayError, HeadraceError, TransientError
from headrace_shared.warehouse_access import KEEPALIVES, WarehouseAccess

_WAIT_SECONDS: Final = 20.0
"""More than a secret and a server may take together to say no."""

_RECONNECT_SECONDS: Final = 5.0
"""The pool's own back-off doubles for five minutes by default: after an outage it would sleep on
while Postgres is back. So each question that finds no connection begins anew."""

# A partition of the network leaves a backend in COPY holding its locks for 20 minutes and more,
# whatever the statement time-outs; keepalives on both sides end it in seconds.
# https://www.postgresql.org/docs/current/runtime-config-connection.html#RUNTIME-CONFIG-TCP-SETTINGS
_CONNECTING: Final = {"connect_timeout": 5, **KEEPALIVES}


class WarehousePool(AsyncConnectionPool[AsyncConnection[Any]]):
    """A pool that asks for access anew at each connection, and raises what kept the last one from
    being made; psycopg's own raises only that it waited, and leaves the cause to its log.

    Args:
        connections: the most that it holds.
        configure: prepares each new one.
    """

    def __init__(
        self,
        access: WarehouseAccess,
        *,
        connections: int,
        configure: Callable[[AsyncConnection[Any]], Awaitable[None]],
    ) -> None:
        self._access = access
        self._trouble: Exception | None = None
        super().__init__(
            self._latest_conninfo,
            connection_class=_remembered_by(self),
            min_size=1,
            max_size=connections,
            timeout=_WAIT_SECONDS,
            reconnect_timeout=_RECONNECT_SECONDS,
            configure=configure,
            check=AsyncConnectionPool.check_connection,
            open=False,
        )

    async def getconn(self, timeout: float | None = None) -> AsyncConnection[Any]:  # noqa: ASYNC109
        """As psycopg's, which `connection` calls, but for the error.

        Raises:
            psycopg.Error, HeadraceError: why the last connection could not be made.
        """
        try:
            return await super().getconn(timeout)
        except PoolTimeout as late:
            if self._trouble is None:
                raise
            raise _away(self._trouble).with_traceback(None) from late

    @contextmanager
    def remembering(self) -> Iterator[None]:
        """Keeps what is raised for those who wait for a connection."""
        try:
            yield
        except (psycopg.Error, HeadraceError) as error:
            self._trouble = error
            raise

    def forget(self) -> None:
        """A connection was made: what was before is no reason any more."""
        self._trouble = None

    async def _latest_conninfo(self) -> str:
        with self.remembering():
            known = conninfo_to_dict(self._access.dsn, **await self._access.parameters())
            return make_conninfo(**{**self._access.trusting(known), **_CONNECTING})


def _away(trouble: Exception) -> Exception:
    """What is not an error of the driver kept the secret from being read: away, too."""
    if isinstance(trouble, TransientError) and not isinstance(trouble, AwayError):
        return AwayError(str(trouble), reason=trouble.reason)
    return trouble


def _remembered_by(pool: WarehousePool) -> type[AsyncConnection[Any]]:
    class Remembered(AsyncConnection[Any]):
        @classmethod
        async def connect(cls, conninfo: str = "", **options: Any) -> Self:
            with pool.remembering():
                connection = await super().connect(conninfo, **options)
            pool.forget()
            return connection

    return Remembered
