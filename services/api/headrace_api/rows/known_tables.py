"""What contracts open, remembered: a page is then one question to the warehouse, which itself looks
whether that contract is still in force."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

from headrace_api.problems import ApiError
from headrace_api.rows.access import OpenTable
from headrace_api.rows.reading import Rows, RowsOfPage

_MOST: Final = 1_000

Read = Callable[[OpenTable | None], Awaitable[RowsOfPage]]
"""Reads a page of a table as it is open; of None, raises ApiError."""


class KnownTables:
    """Tables by their place, those that were used last."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], OpenTable] = OrderedDict()

    async def page(self, place: tuple[str, str], reading: Rows, read: Read) -> RowsOfPage:
        """The page by the contract in force.

        Rows are told only under the contract that opens them. What comes out otherwise, nothing or
        an error, may be so because another contract has come: then it is read again by that one.

        Raises:
            ApiError: by the contract in force; also where there is none.
        """
        known = self._known.get(place)
        if known is None:
            return await read(await self._newest(place, reading))
        page, failed = RowsOfPage([], None), None
        try:
            page = await read(known)
        except ApiError as error:
            failed = error
        if page.rows:
            return page
        newest = await self._newest(place, reading)
        if newest is None or newest.contract_id != known.contract_id:
            return await read(newest)
        if failed:
            raise failed
        return page

    async def _newest(self, place: tuple[str, str], reading: Rows) -> OpenTable | None:
        self._known.pop(place, None)
        newest = await reading.table(place)
        if newest is not None:
            self._known[place] = newest
            while len(self._known) > _MOST:
                self._known.popitem(last=False)
        return newest
