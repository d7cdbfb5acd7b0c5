"""Why no contract comes of a file."""

from __future__ import annotations

from headrace_shared.errors import HeadraceError


class InferenceError(HeadraceError):
    """No contract can be inferred.

    Args:
        what: what is wrong, as a sentence.
        remedy: what to do about it.
    """

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy
