"""How the load of a drop can end; what the ledger records and the facts tell."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from headrace_shared.reasons import BadRow, LoadWarning, Reason, TestResult


@dataclass(frozen=True, slots=True)
class Aside:
    """Rows that are in the quarantine: how many, and the first of them; and how the tests ended
    that may have brought them there."""

    rows: int = 0
    first: tuple[BadRow, ...] = ()
    tests: tuple[TestResult, ...] = ()


NOTHING_ASIDE = Aside()


@dataclass(frozen=True, slots=True)
class Period:
    """From the beginning of the try that ended a drop until the outcome was in the ledger."""

    started_at: datetime
    applied_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ended:
    """`repeated`: the drop was at this end before, and nothing was done now. `run`: in which run
    it came there. `reopens`: drops of the table were opened again and have to be routed.
    `period`: as the ledger has it; None of an outcome that is not in the ledger."""

    repeated: bool = False
    run: int = 0
    reopens: bool = False
    period: Period | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Loaded(_Ended):
    """The rows are committed. `rows_removed`: of them, those that are not in the table because
    rows of later drops, or later rows of the same file, have taken their place. `aside`: what is in
    the quarantine instead. `warnings`: what the user should look at. `keys`: the fingerprint of the
    keys that an upsert took."""

    rows: int
    contract_id: UUID | None
    rows_removed: int = 0
    aside: Aside = NOTHING_ASIDE
    warnings: tuple[LoadWarning, ...] = ()
    keys: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Applied(_Ended):
    """The contract is accepted."""

    changes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Superseded(_Ended):
    """A later drop had overtaken this one: none of its rows is loaded. `keys`: the fingerprint of
    the keys that an upsert took all the same, because a later version of its file replaced it."""

    by: UUID
    contract_id: UUID | None = field(default=None, compare=False)
    keys: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Reverted(_Ended):
    """The drop counts as never landed. `rows_removed`: how many rows of it left the table."""

    rows_removed: int = 0


@dataclass(frozen=True, slots=True)
class Rejected(_Ended):
    """The drop cannot be loaded; nothing of it is."""

    reason: Reason
    contract_id: UUID | None = field(default=None, compare=False)


Outcome = Loaded | Applied | Superseded | Reverted | Rejected
