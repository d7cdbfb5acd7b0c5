"""Lands the objects that were in the bucket before Headrace was: each as the drop that it would
have been, in the order in which they were written.

It can be broken off and started again: what ledger or log know is passed over, and an object that
is published twice is one drop, for its drop id follows from the object alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from headrace_shared.drop import Action
from headrace_shared.facts import ReplayRequested
from headrace_shared.identifiers import safe_identifier, safe_schema
from headrace_shared.inbox import Publisher
from headrace_shared.key_rules import KeyRules
from headrace_shared.routes import Place
from headrace_shared.tracing import traceparent
from headrace_verifier.lake import Lake
from headrace_verifier.ledger import Ledger
from headrace_verifier.log import Log
from headrace_verifier.records import Version


@dataclass(frozen=True, slots=True)
class Backfill:
    """What is wanted.

    Args:
        rules: which objects are drops, and where each belongs.
        prefix: of the keys.
        since: only objects that were written then or later.
        all_versions: the older versions of each key, too.
        dry_run: only count.
    """

    rules: KeyRules
    prefix: str = ""
    since: datetime | None = None
    all_versions: bool = False
    dry_run: bool = False


@dataclass
class Counts:
    """What there is. `tables`: objects by `db_name/action/table_name`, with `bytes`; `left_alone`:
    objects that are no drops, by the reason; `known`: drops already; `bad_keys`: the router will
    reject them."""

    tables: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)
    left_alone: Counter[str] = field(default_factory=Counter)
    known: int = 0
    bad_keys: int = 0
    listed: int = 0

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "tables": dict(self.tables),
            "bytes": dict(self.bytes),
            "left_alone": dict(self.left_alone),
            "known": self.known,
            "bad_keys": self.bad_keys,
            "listed": self.listed,
        }


class Watcher(Protocol):
    """Who sees how far it has come."""

    def proceeds(self, counts: Counts) -> None:
        """A page of the listing is through."""


async def backfill(
    wanted: Backfill, lake: Lake, ledger: Ledger, log: Log, bus: Publisher, watcher: Watcher
) -> Counts:
    """Publishes the request to route each object that is no drop yet; returns what there was.

    Memory is that of one page of the listing, however many objects there are.

    Raises:
        TransientError: a part cannot be reached; what was published stays so.
    """
    counts = Counts()
    async for page in lake.pages(wanted.prefix, {}):
        drops = [one for one in page.versions if _is_meant(one, wanted)]
        counts.listed += len(page.versions)
        drops = _counted_alone(drops, wanted.rules, counts)
        new = await log.unknown(await ledger.unknown(drops))
        counts.known += len(drops) - len(new)
        _count(new, wanted.rules, counts)
        if not wanted.dry_run:
            await bus.publish([_request(one) for one in new])
        watcher.proceeds(counts)
    return counts


def _is_meant(version: Version, wanted: Backfill) -> bool:
    is_recent = wanted.since is None or version.modified >= wanted.since
    return is_recent and (version.is_latest or wanted.all_versions)


def _counted_alone(versions: Sequence[Version], rules: KeyRules, counts: Counts) -> list[Version]:
    """The versions that are drops; the others are counted."""
    drops = []
    for one in versions:
        why = rules.left_alone(one.key, one.size_bytes)
        if why is None:
            drops.append(one)
        else:
            counts.left_alone[str(why)] += 1
    return drops


def _count(versions: Sequence[Version], rules: KeyRules, counts: Counts) -> None:
    for one in versions:
        target = _target(rules.place(one.key))
        if target is None:
            counts.bad_keys += 1
        else:
            counts.tables[target] += 1
            counts.bytes[target] += one.size_bytes


def _target(place: Place) -> str | None:
    """`db_name/action/table_name`; None where the router will reject the key."""
    db_name, table_name = safe_schema(place.db_name), safe_identifier(place.table_name)
    is_action = place.action.lower() in set(Action)
    if not (db_name and table_name and is_action and place.file):
        return None
    return f"{db_name}/{place.action.lower()}/{table_name}"


def _request(version: Version) -> ReplayRequested:
    drop = version.drop()
    return ReplayRequested(drop=drop, as_landed=True, traceparent=traceparent(drop.drop_id))
