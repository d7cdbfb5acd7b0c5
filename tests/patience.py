"""How long tests wait for real parts: the one home of that decision."""

from __future__ import annotations

import os
from typing import Final

_MOST: Final = 4.0


def patience(seconds: float) -> float:
    """The limit of a wait for what takes up to `seconds` on a quiet machine: where more processes
    want to run than there are processors, each takes as many times longer."""
    busy = os.getloadavg()[0] / (os.cpu_count() or 1)
    return seconds * min(max(1.0, busy), _MOST)
