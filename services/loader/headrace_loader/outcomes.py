"""How the load of a drop can end; what the ledger records and the facts tell."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from headrace_shared.reasons import Reason


@dataclass(frozen=True, slots=True)
class Loaded:
    """The rows are committed. `repeated`: they were before, and nothing was done now."""

    rows: int
    contract_id: UUID | None
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Applied:
    """The contract is in force."""

    changes: tuple[str, ...]
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Superseded:
    """A later drop had overtaken this one: nothing of it is loaded."""

    by: UUID
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Rejected:
    """The drop cannot be loaded; nothing of it is."""

    reason: Reason
    repeated: bool = False


Outcome = Loaded | Applied | Superseded | Rejected
