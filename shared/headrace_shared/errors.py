"""The three ways in which work can fail: permanently, for now, or by a bug.

`PermanentError`: a retry cannot help; its reason goes to the user, and the message is done.
`TransientError`: a later try may succeed; the message is hidden for a back-off.
Every other exception is a bug: logged with its traceback, redelivered, and at last dead-lettered.
"""

from __future__ import annotations

from headrace_shared.reasons import Reason


class HeadraceError(Exception):
    """The root of every error that Headrace raises on purpose."""


class PermanentError(HeadraceError):
    """The drop cannot be taken as it is; `reason` says what was wrong, where, and what to do."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(f"{reason.code}: {reason.message}")
        self.reason = reason


class TransientError(HeadraceError):
    """The work can be tried again.

    Args:
        message: what happened, for operators.
        retry_after: seconds to wait before the next try; None leaves it to the back-off policy.
        reason: what the log shows while the drop waits; made from `message` when left out.
    """

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        reason: Reason | None = None,
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.reason = reason or Reason(
            code="temporarily_unavailable",
            message=message,
            remedy="Nothing to do: Headrace tries again by itself.",
        )
