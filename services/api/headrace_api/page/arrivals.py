"""The drops that the first view shows: what is asked for, read once and kept up to date."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from headrace_api.callers import Caller
from headrace_api.log_store import DropFilter
from headrace_api.operations.common import Stores, seen_tables
from headrace_api.page.drop_view import Item, contains, table_of
from headrace_api.problems import invalid_parameter
from headrace_shared.identifiers import safe_identifier, safe_schema
from headrace_shared.log_schema import KEY, State

SHOWN: Final = 50
_LOOKED_THROUGH: Final = 500


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for; empty parts leave it open. `table` is a table, or `database.table`."""

    table: str = ""
    state: State | None = None
    text: str = ""

    @property
    def is_open(self) -> bool:
        """Whether every drop is asked for."""
        return not (self.table or self.state or self.text)

    @property
    def place(self) -> tuple[str | None, str | None]:
        """Database and table; None for any."""
        db_name, dot, table_name = self.table.lower().rpartition(".")
        return (db_name if dot else None), (table_name or None)

    def passes(self, item: Item) -> bool:
        """Whether a drop is asked for."""
        db_name, table_name = self.place
        return (
            (db_name is None or item.get("db_name") == db_name)
            and (table_name is None or item.get("table_name") == table_name)
            and (self.state is None or item["state"] == self.state)
            and (not self.text or contains(item, self.text))
        )


def question(table: str = "", state: str = "", text: str = "") -> Question:
    """The question of a form, in which what is not filled in is empty.

    Raises:
        ApiError: there can be no such table, or no such state.
    """
    asked = Question(table.strip(), None, text.strip())
    db_name, table_name = asked.place
    if table_name is not None and safe_identifier(table_name) is None:
        raise invalid_parameter("table", f"No table can be called {table[:64]!r}.")
    if db_name is not None and safe_schema(db_name) is None:
        raise invalid_parameter("table", f"No database can be called {db_name[:64]!r}.")
    if state and state not in frozenset(State):
        raise invalid_parameter("state", f"There is no state {state[:64]!r}.")
    return Question(asked.table, State(state) if state else None, asked.text)


class Arrivals:
    """The newest drops that one caller asks for and may see."""

    def __init__(self, asked: Question, caller: Caller) -> None:
        self._asked = asked
        self._caller = caller
        self._items: dict[str, Item] = {}

    @property
    def items(self) -> Sequence[Item]:
        """The newest first."""
        return list(self._items.values())

    async def read(self, found_in: Stores) -> None:
        """Reads them anew.

        Raises:
            TransientError: the log or the warehouse cannot be reached.
        """
        states = frozenset({self._asked.state}) if self._asked.state else None
        tables = await seen_tables(*self._asked.place, self._caller, found_in.warehouse)
        wanted = DropFilter(tables, None, None, states, None, None)
        page = await found_in.log.page(wanted, _LOOKED_THROUGH if self._asked.text else SHOWN)
        self._items = {}
        self.take(page.items)

    def take(self, moved: Iterable[Item]) -> list[Item]:
        """Takes in what moved; those of them that are asked for but have no room here."""
        wanted = []
        for item in moved:
            self._items.pop(item[KEY], None)
            if self._caller.sees(*(table_of(item) or (None, None))) and self._asked.passes(item):
                wanted.append(item)
        kept = {**self._items, **{item[KEY]: item for item in wanted}}
        newest = sorted(kept, reverse=True)[:SHOWN]
        self._items = {drop_id: kept[drop_id] for drop_id in newest}
        return [item for item in wanted if item[KEY] not in self._items]
