"""A difference between lake, ledger, log and tables, in words that a user can act on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from headrace_shared.facts import Fact


class Kind(StrEnum):
    """What can differ; docs/verifying.md explains each."""

    NOT_ROUTED = "not_routed"
    UNFINISHED = "unfinished"
    REOPENED = "reopened"
    LOG_MISSING = "log_missing"
    LOG_BEHIND = "log_behind"
    LOG_AHEAD = "log_ahead"
    LOG_DISAGREES = "log_disagrees"
    ROWS_DIFFER = "rows_differ"
    ROWS_UNKNOWN = "rows_unknown"
    TABLE_MISSING = "table_missing"


@dataclass(frozen=True, slots=True)
class Difference:
    """One.

    Args:
        where: the object or the table.
        remedy: what a person can do where there is no repair.
        repair: the fact that mends it once it is published; None where no fact can.
    """

    kind: Kind
    where: str
    message: str
    remedy: str = ""
    drop_id: UUID | None = None
    repair: Fact | None = None

    def as_json(self, *, repaired: bool) -> str:
        """One line of JSON, for programs.

        Args:
            repaired: its repair is published.
        """
        return json.dumps(
            {
                "kind": self.kind,
                "where": self.where,
                "drop_id": str(self.drop_id) if self.drop_id else None,
                "message": self.message,
                "to_do": self.remedy or None,
                "repair": self.repair.detail_type if self.repair else None,
                "repaired": repaired,
            }
        )
