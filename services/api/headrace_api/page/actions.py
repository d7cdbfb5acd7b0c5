"""Which actions stand beside what a view shows."""

from __future__ import annotations

from headrace_api.callers import Caller, Scope
from headrace_api.operations.means import Means


def offered(means: Means, caller: Caller) -> dict[str, bool]:
    """What this API was set up for, and what the caller may; a view says in a sentence what is
    lacking."""
    return {
        "has_replay": means.bus is not None,
        "has_quarantine": means.kept_rows is not None,
        "has_letters": bool(means.queues),
        "may_operate": caller.may(Scope.OPERATE),
        "may_see_rows": caller.may(Scope.ROWS),
    }
