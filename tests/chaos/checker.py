"""What every table must hold, and whether it does. Shares no code with what it checks.

The order of drops is computed from the written rule (docs/adr/0001-drop-id.md); then they are
applied one by one (docs/adr/0007-convergence.md), as a careful person would.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from tests.chaos.witness import Landed
from tests.chaos.world import Contract, File, Row

Held = tuple[int | None, str | None, bool | None, str | None, UUID]
"""A row and the drop that it came from."""


@dataclass(frozen=True)
class Drop:
    """A file, and the place in the order at which it landed."""

    drop_id: UUID
    file: File


@dataclass(frozen=True)
class Request:
    """What a user asked for of one drop.

    Args:
        run: the moment of the latest request, in milliseconds since the epoch.
        reverts: the latest request is a revert, else a replay.
        replay_second: the second of the latest replay; -1 for none.
    """

    run: int
    reverts: bool
    replay_second: int = -1


@dataclass
class Expected:
    """What the model says of one table."""

    rows: Counter[Held] = field(default_factory=Counter)
    rejected: set[UUID] = field(default_factory=set)
    reverted: set[UUID] = field(default_factory=set)


@dataclass(frozen=True)
class Difference:
    """Rows of one table that are missing or too many, and drops that ended otherwise."""

    table: str
    missing: Mapping[Held, int]
    extra: Mapping[Held, int]
    ended_otherwise: Mapping[UUID, str]

    def __str__(self) -> str:
        told = [f"table {self.table}:"]
        told += [f"  missing {count} x {row}" for row, count in self.missing.items()]
        told += [f"  too many {count} x {row}" for row, count in self.extra.items()]
        told += [f"  drop {drop} ended as {end}" for drop, end in self.ended_otherwise.items()]
        return "\n".join(told)


def drop_id(landed: Landed) -> UUID:
    """The landing second (32 bits), the sequencer's low 48 bits, 42 bits of a hash; with the
    version and variant of a UUID 8 in their places."""
    second = int(datetime.fromisoformat(landed.time).timestamp())
    sequence = int(landed.sequencer.ljust(18, "0")[:18], 16) & (2**48 - 1)
    named = "\0".join((landed.bucket, landed.key, landed.version or landed.etag))
    digest = int.from_bytes(hashlib.sha256(named.encode()).digest()[:8], "big") >> 22
    text = f"{second:032b}{sequence:048b}{digest:042b}"
    return UUID(int=int(text[:48] + "1000" + text[48:60] + "10" + text[60:], 2))


def expected(drops: Iterable[Drop], requests: Mapping[UUID, Request]) -> dict[str, Expected]:
    """What each table must hold.

    Args:
        requests: what users asked for, by drop.
    """
    tables: dict[str, list[Drop]] = {}
    for drop in sorted(drops, key=lambda one: one.drop_id):
        tables.setdefault(drop.file.table, []).append(drop)
    return {table: _applied(ordered, requests) for table, ordered in tables.items()}


def differences(
    wanted: Mapping[str, Expected],
    found: Mapping[str, Counter[Held]],
    ends: Mapping[UUID, str],
) -> list[Difference]:
    """Every table that differs.

    Args:
        found: the rows of each table.
        ends: how each drop ended.
    """
    told = []
    for table, want in sorted(wanted.items()):
        has = found.get(table, Counter())
        wrong = {
            drop: ends.get(drop, "nothing")
            for drop in want.rejected
            if ends.get(drop) not in ("rejected", "superseded")
        } | {
            drop: ends.get(drop, "nothing")
            for drop in want.reverted
            if ends.get(drop) != "reverted"
        }
        if want.rows != has or wrong:
            told.append(Difference(table, want.rows - has, has - want.rows, wrong))
    return told


def _applied(landed: Sequence[Drop], requests: Mapping[UUID, Request]) -> Expected:
    table, versions = Expected(), Counter[str]()
    table.reverted = {one.drop_id for one in landed if _request(one, requests).reverts}
    drops = [one for one in landed if one.drop_id not in table.reverted]
    brought: dict[str, set[UUID]] = {}
    for drop in drops:
        file = drop.file
        if file.rows is None:
            continue
        again = versions[file.key] > 0
        versions[file.key] += 1
        contract = _contract(drops, drop, _request(drop, requests).replay_second)
        if _is_bad(file, contract) or (contract.policy == "reject" and again):
            table.rejected.add(drop.drop_id)
            continue
        gone = brought.get(file.key, set()) if contract.policy == "replace" else set()
        table.rows = _merged(table.rows, drop, gone)
        brought.setdefault(file.key, set()).add(drop.drop_id)
    return table


def _merged(rows: Counter[Held], drop: Drop, gone: Collection[UUID]) -> Counter[Held]:
    file, brought = drop.file, list(drop.file.rows or ())
    kept = Counter({row: count for row, count in rows.items() if row[4] not in gone})
    if file.action == "truncate":
        kept = Counter()
    if file.action == "upsert":
        last: dict[int | None, Row] = {row[0]: row for row in brought}
        kept = Counter({row: count for row, count in kept.items() if row[0] not in last})
        brought = [row for row in last.values() if row[2] is not True]
    return kept + Counter((*row, drop.drop_id) for row in brought)


def _request(drop: Drop, requests: Mapping[UUID, Request]) -> Request:
    return requests.get(drop.drop_id, Request(0, reverts=False))


def _contract(drops: Sequence[Drop], drop: Drop, replay_second: int) -> Contract:
    """The latest before the drop, or up to the second of its replay; else the first one, for which
    it has waited."""
    before = [
        one.file.contract
        for one in drops
        if one.file.contract
        and (one.drop_id < drop.drop_id or one.drop_id.int >> 96 <= replay_second)
    ]
    return before[-1] if before else next(d.file.contract for d in drops if d.file.contract)


def _is_bad(file: File, contract: Contract) -> bool:
    longest = contract.longest
    too_long = longest is not None and any(
        row[1] is not None and len(row[1]) > longest for row in file.rows or ()
    )
    return file.broken or too_long or (file.uses_x and not contract.has_x)
