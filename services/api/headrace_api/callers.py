"""Who asks, and what they may see and do: decisions without I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from headrace_shared.api_keys import EVERY_TABLE, PatternError, Scope, TablePattern

__all__ = ["ANYBODY", "EVERY_TABLE", "Caller", "PatternError", "Scope", "TablePattern"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who asks.

    Args:
        name: as the log has it; no secret.
        tables: what they see, of everything: rows, drops, errors, events and counts.
    """

    name: str
    scopes: frozenset[Scope]
    tables: tuple[TablePattern, ...]

    @property
    def sees_everything(self) -> bool:
        """Also what belongs to no table: a file whose key names none."""
        return EVERY_TABLE in self.tables

    def may(self, scope: Scope) -> bool:
        """Whether they have that scope."""
        return scope in self.scopes

    def sees(self, db_name: str | None, table_name: str | None) -> bool:
        """Whether something of that table may be shown to them; None: it is of no table."""
        if self.sees_everything:
            return True
        if db_name is None or table_name is None:
            return False
        return any(pattern.covers(db_name, table_name) for pattern in self.tables)


ANYBODY: Final = Caller("anybody", frozenset(Scope), (EVERY_TABLE,))
"""Who asks where nobody has to say who they are."""
