"""Which effect an outcome has on other drops of the table; decided without I/O."""

from __future__ import annotations

from uuid import UUID

from headrace_loader.outcomes import Loaded, Outcome, Superseded
from headrace_shared.drop import Action, Drop


def took_effect(outcome: Outcome | None) -> bool:
    """Whether a drop with this outcome has changed its table.

    An upsert that a later version of its file superseded took its keys away all the same.
    """
    return isinstance(outcome, Loaded) or (
        isinstance(outcome, Superseded) and outcome.keys is not None
    )


def gives_rows_back(drop: Drop, before: Outcome | None, now: Outcome) -> bool:
    """Whether rows of earlier drops, which this drop had removed, may belong into the table now.

    A truncate removes all of them, whatever its own rows are. An upsert removes the rows of its
    keys: as long as it takes the same keys, nothing comes back. Where a later truncate supersedes
    it, that one removes them all.
    """
    if drop.action is Action.APPEND or not took_effect(before):
        return False
    if not took_effect(now):
        return not isinstance(now, Superseded)
    return drop.action is Action.UPSERT and _keys(before) != _keys(now)


def replaced_under(outcome: Outcome | None) -> UUID | None:
    """The contract whose `on_reupload` says whether a drop with this outcome replaces the earlier
    versions of its file; None where it replaces none."""
    if took_effect(outcome) and isinstance(outcome, Loaded | Superseded):
        return outcome.contract_id
    return None


def _keys(outcome: Outcome | None) -> str | None:
    return outcome.keys if isinstance(outcome, Loaded | Superseded) else None
