"""Made-up files and contracts of a small world: few keys, few values, so that they meet."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from hypothesis import strategies as st

DATABASE: Final = "model"
EPOCH: Final = datetime(2026, 11, 20, 12, tzinfo=UTC)
LAST_SECOND: Final = 12
"""Drops land in the seconds up to this one, requests come later."""

WIDTHS: Final = {"varchar(3)": 3, "varchar(5)": 5, "text": 10**6}
OPERATIONS: Final = frozenset({"append", "truncate", "upsert", "schema"})

Row = tuple[str | None, str | None, str | None]
Rows = tuple[tuple[str, str, str], ...]
"""As they stand in the file."""

File = tuple[str, Rows]
"""The action, and the rows."""


@dataclass(frozen=True)
class Contract:
    """Columns k, d and, if it has a type, v; perhaps another. `breaking`: it takes columns away
    and makes them narrower, whatever the table has."""

    type_of_v: str | None = "text"
    breaking: bool = False
    null: str = ""
    on_reupload: str = "append"
    operations: frozenset[str] = OPERATIONS
    another: str | None = None

    @property
    def document(self) -> bytes:
        """As JSON."""
        columns = [("k", "bigint"), ("d", "boolean")]
        columns += [("v", self.type_of_v)] if self.type_of_v else []
        columns += [(self.another, "text")] if self.another else []
        return json.dumps(
            {
                "columns": [{"name": name, "type": kind} for name, kind in columns],
                "primary_key": ["k"],
                "delete_flag": "d",
                "format": {"null": self.null},
                "on_reupload": self.on_reupload,
                "allowed_operations": sorted(self.operations),
                "evolution": "allow_breaking" if self.breaking else "safe",
            }
        ).encode()

    def may_follow(self, present: Contract) -> bool:
        """Whether a table of the present contract takes this one."""
        keeps_v = present.type_of_v is None or (
            self.type_of_v is not None and WIDTHS[self.type_of_v] >= WIDTHS[present.type_of_v]
        )
        keeps_another = present.another in (None, self.another)
        return "schema" in present.operations and (self.breaking or (keeps_v and keeps_another))

    def keeps(self, v: str | None) -> str | None:
        """What this contract leaves of a value that was there before it."""
        return None if v is None or self.type_of_v is None else v[: WIDTHS[self.type_of_v]]

    def read(self, row: tuple[str, str, str]) -> Row:
        """The row as this contract reads it."""
        k, v, d = (None if value == self.null else value for value in row)
        return k, v, d


@dataclass(frozen=True)
class Landed:
    """A file that landed."""

    drop_id: UUID
    action: str
    key: str
    content: Contract | Rows


@dataclass(frozen=True)
class Request:
    """The latest replay or revert of a drop. `contract_order`: the place by which its contract is
    chosen, for which the latest replay counts."""

    run: int
    reverts: bool
    contract_order: UUID = field(compare=False)


def csv(rows: Rows) -> bytes:
    """The rows as a file."""
    return "".join(f"{','.join(row)}\n" for row in (("k", "v", "d"), *rows)).encode()


seconds = st.integers(0, LAST_SECOND)

contracts = st.builds(
    Contract,
    # Under a contract without v every file is rejected: seldom, so that something is left to see.
    type_of_v=st.sampled_from([*sorted(WIDTHS), *sorted(WIDTHS), None]),
    breaking=st.sampled_from([False, False, True]),
    null=st.sampled_from(["", "nil"]),
    on_reupload=st.sampled_from(["append", "replace", "reject"]),
    operations=st.one_of(
        st.just(OPERATIONS), st.sampled_from(sorted(OPERATIONS)).map(lambda one: OPERATIONS - {one})
    ),
    another=st.sampled_from([None, "x", "y"]),
)

_VALUES = st.sampled_from(["a", "bb", "nil", "", "long"])


def rows(action: str) -> st.SearchStrategy[Rows]:
    """Rows of a file; only an upsert says which keys go."""
    flags = ["", "t", "f"] if action == "upsert" else [""]
    row = st.tuples(st.sampled_from(["", "nil", "1", "2", "3"]), _VALUES, st.sampled_from(flags))
    return st.lists(row, max_size=4).map(tuple)


actions = st.sampled_from(["append", "append", "truncate", "upsert", "upsert"])
files = actions.flatmap(lambda action: st.tuples(st.just(action), rows(action)))
names = st.sampled_from(["same.csv", "again.csv", None, None])
"""None: a name that no other file has."""
