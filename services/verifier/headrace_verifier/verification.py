"""One verification: four walks, each in pages, that can go on where they were broken off.

lake    every version is in the ledger, or in the log
ledger  every end is in the log; nothing that was opened again is forgotten
log     every drop has come to an end, and the ledger knows of it
rows    every table holds the rows that the ledger counts, and no others
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Protocol
from uuid import UUID

from headrace_shared.drop import drop_id_bounds
from headrace_shared.inbox import Publisher
from headrace_shared.key_rules import DEFAULT_KEY_RULES, KeyRules
from headrace_verifier.differences import Difference
from headrace_verifier.judging import (
    Patience,
    judge_count,
    judge_entry,
    judge_item,
    judge_missing_table,
    judge_version,
)
from headrace_verifier.lake import Lake
from headrace_verifier.ledger import Ledger
from headrace_verifier.log import Log
from headrace_verifier.records import Item

_SAVE_SECONDS: Final = 2.0
_NIL: Final = UUID(int=0)


class Walk(StrEnum):
    """The walks in their order; the values name what each counts."""

    LAKE = "versions"
    LEDGER = "drops"
    LOG = "items"
    ROWS = "tables"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is verified, and how.

    Args:
        repair: publish what mends a difference.
        grace: what is younger is left alone.
        prefix: only keys that begin with it (the tables are counted all the same).
        since: only what landed then or later (the tables are counted all the same).
        rows: whether the rows of the tables are counted, which reads every table once.
        log_expiry: after so long, items leave the log by themselves; None for never.
        key_rules: which objects are drops.
        lake_since: older objects of the lake are no drops, unless they were loaded all the same.
    """

    repair: bool = False
    grace: timedelta = timedelta(minutes=5)
    prefix: str = ""
    since: datetime | None = None
    rows: bool = True
    log_expiry: timedelta | None = None
    key_rules: KeyRules = DEFAULT_KEY_RULES
    lake_since: datetime | None = None

    @property
    def scope(self) -> dict[str, Any]:
        """What has to be alike for a verification to go on where another was broken off."""
        since = self.since.isoformat() if self.since else None
        return {
            "repair": self.repair,
            "prefix": self.prefix,
            "since": since,
            "rows": self.rows,
            "grace_seconds": self.grace.total_seconds(),
        }


class Teller(Protocol):
    """Who hears of what is found."""

    def differs(self, difference: Difference, *, repaired: bool) -> None:
        """A difference; `repaired`: what mends it is published."""

    def proceeds(self, walk: Walk, tally: Tally) -> None:
        """A page is through."""


@dataclass
class Tally:
    """What was read, and the differences by kind; `repaired` of them, and `failed` drops, which
    are at an end and wait in the dead-letter queue."""

    read: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    repaired: Counter[str] = field(default_factory=Counter)
    failed: int = 0

    @property
    def left(self) -> int:
        """Differences that nothing mends."""
        return self.found.total() - self.repaired.total()

    def as_json(self) -> dict[str, Any]:
        """As it is kept."""
        return {
            "read": dict(self.read),
            "found": dict(self.found),
            "repaired": dict(self.repaired),
            "failed": self.failed,
        }

    @classmethod
    def kept(cls, kept: Mapping[str, Any]) -> Tally:
        """As it was kept."""
        read, found, repaired = (
            Counter(kept.get(one, {})) for one in ("read", "found", "repaired")
        )
        return cls(read, found, repaired, kept.get("failed", 0))


class Verification:
    """Raises TransientError where a part cannot be reached; `run` then goes on where it was."""

    def __init__(
        self,
        lake: Lake,
        ledger: Ledger,
        log: Log,
        bus: Publisher,
        plan: Plan,
        teller: Teller,
    ) -> None:
        self._lake = lake
        self._ledger = ledger
        self._log = log
        self._bus = bus
        self._plan = plan
        self._teller = teller
        self._first = drop_id_bounds(plan.since, None)[0] if plan.since else _NIL
        self._tally = Tally()
        self._number = 0
        self._position: dict[str, Any] = {}
        self._saved = time.monotonic()

    async def run(self, *, resume: bool) -> Tally:
        """Every walk that is not through yet.

        Args:
            resume: go on with the latest one of the same scope that was broken off.
        """
        kept = await self._ledger.unfinished(self._plan.scope) if resume else None
        if kept is not None:
            self._number, self._position = kept[0], dict(kept[1])
            self._tally = Tally.kept(kept[2])
        else:
            self._number = await self._ledger.begin(self._plan.scope)
        done: list[str] = self._position.setdefault("done", [])
        for walk, steps in self._walks().items():
            if walk not in done:
                await self._walk(walk, steps())
                done.append(walk)
                self._position.pop("at", None)
        await self._save(finished=True)
        return self._tally

    def _walks(self) -> Mapping[Walk, Callable[[], AsyncIterator[_Step]]]:
        walks: dict[Walk, Callable[[], AsyncIterator[_Step]]] = {
            Walk.LAKE: self._lake_steps,
            Walk.LEDGER: self._ledger_steps,
            Walk.LOG: self._log_steps,
        }
        if self._plan.rows:
            walks[Walk.ROWS] = self._rows_steps
        return walks

    async def _walk(self, walk: Walk, steps: AsyncIterator[_Step]) -> None:
        async for step in steps:
            await self._settle(step.differences)
            self._tally.read[walk] += step.read
            if step.at is not None:
                self._position["at"] = step.at
                if time.monotonic() - self._saved > _SAVE_SECONDS:
                    await self._save(finished=False)
            self._teller.proceeds(walk, self._tally)

    async def _settle(self, differences: Sequence[Difference]) -> None:
        repairs = [one.repair for one in differences if one.repair and self._plan.repair]
        await self._bus.publish(repairs)
        for one in differences:
            repaired = self._plan.repair and one.repair is not None
            self._tally.found[one.kind] += 1
            if repaired:
                self._tally.repaired[one.kind] += 1
            self._teller.differs(one, repaired=repaired)

    async def _save(self, *, finished: bool) -> None:
        await self._ledger.save(
            self._number, self._position, self._tally.as_json(), finished=finished
        )
        self._saved = time.monotonic()

    def _patience(self) -> Patience:
        plan = self._plan
        return Patience(datetime.now(UTC), plan.grace, plan.log_expiry, plan.key_rules)

    async def _lake_steps(self) -> AsyncIterator[_Step]:
        async for page in self._lake.pages(self._plan.prefix, self._position.get("at", {})):
            versions = [
                one
                for one in page.versions
                if self._is_meant(one.modified) and self._is_of_the_lake(one.modified)
            ]
            unknown = await self._log.unknown(await self._ledger.unknown(versions))
            judged = [judge_version(one, self._patience()) for one in unknown]
            yield _Step(len(page.versions), _without_none(judged), page.marker)

    async def _ledger_steps(self) -> AsyncIterator[_Step]:
        after = UUID(self._position["at"]) if "at" in self._position else self._first
        while entries := await self._ledger.page(after):
            after = entries[-1].drop.drop_id
            meant = [one for one in entries if one.drop.key.startswith(self._plan.prefix)]
            items = await self._log.items([one.drop.drop_id for one in meant])
            judged = [
                judge_entry(one, items.get(one.drop.drop_id), self._patience()) for one in meant
            ]
            yield _Step(len(entries), _without_none(judged), str(after))

    async def _log_steps(self) -> AsyncIterator[_Step]:
        async for page, after in self._log.pages(self._position.get("at")):
            items = [
                one
                for one in page
                if one.drop.drop_id >= self._first and one.drop.key.startswith(self._plan.prefix)
            ]
            self._tally.failed += sum(one.state == "failed" for one in items)
            yield _Step(len(page), await self._judged(items), after)

    async def _judged(self, items: Sequence[Item]) -> list[Difference]:
        others = [one.superseded_by for one in items if one.superseded_by]
        known = await self._ledger.entries([*(one.drop.drop_id for one in items), *others])
        judged = [
            judge_item(
                one,
                known.get(one.drop.drop_id),
                self._patience(),
                other_is_known=one.superseded_by in known,
            )
            for one in items
        ]
        return _without_none(judged)

    async def _rows_steps(self) -> AsyncIterator[_Step]:
        after = self._position.get("at", "")
        for db_name, table_name in await self._ledger.tables():
            table = f"{db_name}.{table_name}"
            if table <= after:
                continue
            try:
                async for count in self._ledger.counts(db_name, table_name):
                    yield _Step(0, [judge_count(table, count)], None)
                yield _Step(1, [], table)
            except LookupError:
                yield _Step(1, [judge_missing_table(table)], table)

    def _is_of_the_lake(self, landed: datetime) -> bool:
        return self._plan.lake_since is None or landed >= self._plan.lake_since

    def _is_meant(self, landed: datetime) -> bool:
        return self._plan.since is None or landed >= self._plan.since


@dataclass(frozen=True, slots=True)
class _Step:
    """A page of a walk. `at`: where the next one begins, where that is known."""

    read: int
    differences: Sequence[Difference]
    at: Any


def _without_none(judged: Sequence[Difference | None]) -> list[Difference]:
    return [one for one in judged if one is not None]
