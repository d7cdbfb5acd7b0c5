"""The three ways in which work can fail: permanently, for now, or by a bug.

`PermanentError`: a retry cannot help; its reason goes to the user, and the message is done.
`TransientError`: a later try may succeed; the message is hidden for a back-off. Two kinds of it
change what happens to others: `NotNowError` (the try does not count) and `OutOfTimeError` (the
table is held back).
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


class NotNowError(TransientError):
    """The message cannot be worked on at this moment, through no fault of its own.

    The try does not count as a failure. SQS has counted the delivery all the same, so a message at
    its last delivery stays in hand and is tried again there.
    """


class AwayError(NotNowError):
    """The warehouse is away, which every message needs: none is received until it answers."""


class OutOfTimeError(TransientError):
    """A time limit ended the work: a lock, a statement or a file was waited for too long.

    The next try will probably take as long, so the table of the drop is held back.
    """
