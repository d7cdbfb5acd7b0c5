"""What a table holds once everything has landed: its drops, applied one by one in their order."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from uuid import UUID

from tests.model.world import WIDTHS, Contract, Landed, Request, Row

Held = tuple[str | None, str | None, str | None, UUID]
"""k, v, d, and the drop that the row came from."""


@dataclass(frozen=True)
class Expected:
    """The rows of a table, the drops that do not fit their contract, and those that count as
    never landed."""

    rows: Counter[Held]
    rejected: frozenset[UUID]
    reverted: frozenset[UUID]


def expected(landed: Sequence[Landed], requests: Mapping[UUID, Request]) -> Expected:
    """Of one table.

    Args:
        requests: the latest request for each drop that somebody asked for.
    """
    reverted = frozenset(
        one.drop_id for one in landed if one.drop_id in requests and requests[one.drop_id].reverts
    )
    ordered = sorted(
        (one for one in landed if one.drop_id not in reverted), key=lambda one: one.drop_id
    )
    contracts = _accepted(ordered)
    rows: list[Held] = []
    rejected: set[UUID] = set()
    versions: defaultdict[str, list[UUID]] = defaultdict(list)
    for one in ordered:
        if isinstance(one.content, Contract):
            continue
        asked = requests.get(one.drop_id)
        read_at = asked.contract_order if asked else one.drop_id
        contract = _contract_of(contracts, read_at)
        earlier = versions[one.key].copy()
        versions[one.key].append(one.drop_id)
        brought = [contract.read(row) for row in one.content]
        if _is_refused(contract, one, brought, earlier):
            rejected.add(one.drop_id)
            continue
        if contract.on_reupload == "replace":
            rows = [row for row in rows if row[3] not in earlier]
        if one.action == "truncate":
            rows = []
        if one.action == "upsert":
            last = {row[0]: row for row in brought}
            rows = [row for row in rows if row[0] not in last]
            brought = [row for row in last.values() if row[2] != "t"]
        later = [other for place, other in contracts if place > read_at and other != contract]
        rows += [(k, _left_of(v, later), d, one.drop_id) for k, v, d in brought]
    return Expected(Counter(rows), frozenset(rejected), reverted)


def _accepted(ordered: Sequence[Landed]) -> list[tuple[UUID, Contract]]:
    found: list[tuple[UUID, Contract]] = []
    for one in ordered:
        if isinstance(one.content, Contract) and (
            not found or one.content.may_follow(found[-1][1])
        ):
            found.append((one.drop_id, one.content))
    return found


def _contract_of(contracts: Sequence[tuple[UUID, Contract]], place: UUID) -> Contract:
    """The latest before the place; else the first one, for which the drop has waited."""
    before = list(takewhile(lambda one: one[0] <= place, contracts))
    return (before or contracts[:1])[-1][1]


def _is_refused(
    contract: Contract, one: Landed, brought: Sequence[Row], earlier: Sequence[UUID]
) -> bool:
    return (
        one.action not in contract.operations
        or contract.type_of_v is None  # every file has a column v
        or (contract.on_reupload == "reject" and bool(earlier))
        or any(not _fits(contract, row) for row in brought)
    )


def _left_of(v: str | None, later: Sequence[Contract]) -> str | None:
    """What the contracts after the one that it was read under leave of a value."""
    for contract in later:
        v = contract.keeps(v)
    return v


def _fits(contract: Contract, row: Row) -> bool:
    k, v, d = row
    width = WIDTHS[contract.type_of_v] if contract.type_of_v else 0
    return (k is None or k.isdigit()) and (v is None or len(v) <= width) and d in (None, "t", "f")
