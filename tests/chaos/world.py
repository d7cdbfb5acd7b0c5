"""What is dropped during a chaos run: tables, contracts and files, all of them from one seed."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

DATABASE: Final = "chaos"
POLICIES: Final = ("append", "replace", "reject")
NARROW: Final = 4
FIRST_CONTRACT: Final = "first.json"
LATER_CONTRACT: Final = "contract.json"

Row = tuple[int | None, str | None, bool | None, str | None]
"""k, v, d, x."""


@dataclass(frozen=True)
class Contract:
    """What a schema drop says: how long `v` may be, whether there is a column `x`."""

    longest: int | None
    has_x: bool
    policy: str

    @property
    def document(self) -> bytes:
        """As JSON."""
        v = "text" if self.longest is None else f"varchar({self.longest})"
        columns = [("k", "bigint"), ("v", v), ("d", "boolean")] + [("x", "text")] * self.has_x
        return json.dumps(
            {
                "columns": [{"name": name, "type": kind} for name, kind in columns],
                "primary_key": ["k"],
                "delete_flag": "d",
                "on_reupload": self.policy,
            }
        ).encode()


@dataclass(frozen=True)
class File:
    """One upload: its key, its bytes, and what it holds.

    `rows` are None where a contract is dropped, and `broken` says that a row is no row at all.
    """

    table: str
    action: str
    name: str
    body: bytes
    contract: Contract | None = None
    rows: tuple[Row, ...] | None = None
    uses_x: bool = False
    broken: bool = False

    @property
    def key(self) -> str:
        """Where it is dropped."""
        return f"{DATABASE}/{self.action}/{self.table}/{self.name}"


class World:
    """An endless stream of files for so many tables.

    The first files are the tables' contracts, in part behind data that has to wait for them.
    """

    def __init__(self, seed: int, tables: int) -> None:
        self._random = random.Random(seed)
        self._numbers = 0
        self._stages = {f"t{number}": 0 for number in range(tables)}
        self._quiet: dict[str, int] = {}

    def beginning(self) -> Iterator[File]:
        """What lands first: for every table its contract and a file, in either order."""
        for table in self._stages:
            first = [self._contract(table), self._data(table)]
            self._random.shuffle(first)
            yield from first

    def next(self) -> File:
        """One more file. The contract of a table changes twice at most, and rarely."""
        table = self._random.choice(list(self._stages))
        self._quiet[table] = self._quiet.get(table, 0) + 1
        if self._stages[table] < 3 and self._quiet[table] > 4 and self._random.random() < 0.15:
            self._quiet[table] = 0
            return self._contract(table)
        return self._data(table)

    def _contract(self, table: str) -> File:
        stage = self._stages[table]
        self._stages[table] = stage + 1
        policy = POLICIES[int(table[1:]) % len(POLICIES)]
        contract = Contract(None if stage > 1 else NARROW, has_x=stage > 0, policy=policy)
        name = LATER_CONTRACT if stage else FIRST_CONTRACT
        return File(table, "schema", name, contract.document, contract=contract)

    def _data(self, table: str) -> File:
        self._numbers += 1
        action = self._random.choices(["append", "upsert", "truncate"], [12, 5, 1])[0]
        uses_x = self._stages[table] > 1 and self._random.random() < 0.5
        rows = tuple(self._row(action, uses_x=uses_x) for _ in range(self._random.randint(0, 30)))
        broken = self._random.random() < 0.04
        name = f"{self._numbers}.csv"
        if self._random.random() < 0.2:
            name = f"again{self._random.randint(0, 2)}.csv"
        body = _csv(rows, uses_x=uses_x, broken=broken)
        if self._random.random() < 0.15:
            name, body = f"{name}.gz", gzip.compress(body, mtime=0)
        return File(table, action, name, body, None, rows, uses_x, broken)

    def _row(self, action: str, *, uses_x: bool) -> Row:
        luck = self._random.random()
        v = None if luck < 0.1 else "v" * self._random.randint(1, 4)
        if luck > 0.99:
            v = "longer than four"
        key = None if self._random.random() < 0.05 else self._random.randint(1, 40)
        removes = self._random.choice([None, False, False, True]) if action == "upsert" else None
        x = self._random.choice(["x", 'a "quoted", x', None]) if uses_x else None
        return key, v, removes, x


def is_first_contract(key: str) -> bool:
    """Whether a key is that of the first contract of a table."""
    return key.endswith(f"/{FIRST_CONTRACT}")


def is_later_contract(key: str) -> bool:
    """Whether a key is that of the other contracts of a table."""
    return key.endswith(f"/{LATER_CONTRACT}")


def _csv(rows: tuple[Row, ...], *, uses_x: bool, broken: bool) -> bytes:
    header = ["k", "v", "d"] + ["x"] * uses_x
    lines = [",".join(map(_cell, row[: len(header)])) for row in rows]
    if broken:
        lines.insert(len(lines) // 2, ",".join(["no number", *[""] * (len(header) - 1)]))
    return "".join(f"{line}\n" for line in [",".join(header), *lines]).encode()


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "t" if value else "f"
    text = str(value).replace('"', '""')
    return f'"{text}"' if '"' in text or "," in text else text
