"""Health check of containers, without curl: `python -m headrace_shared.health PATH --seconds N`.

Exit status 0 if the liveness file was touched at most so many seconds ago; 1 if not, with one
sentence on the standard error. It runs again and again beside a service, so it loads nothing but
the standard library.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Looks, and tells."""
    parser = argparse.ArgumentParser(prog="health", allow_abbrev=False)
    parser.add_argument("path", type=Path, help="the liveness file")
    parser.add_argument("--seconds", type=float, required=True, help="its greatest age")
    asked = parser.parse_args(arguments)
    fault = stale(asked.path, asked.seconds)
    if fault is None:
        return 0
    sys.stderr.write(f"{fault}\n")
    return 1


def stale(path: Path, seconds: float) -> str | None:
    """Why a file does not speak for a living service; None if it does."""
    try:
        age = time.time() - path.stat().st_mtime
    except OSError as error:
        return f"{path} cannot be looked at: {error.strerror}."
    if age <= seconds:
        return None
    return f"{path} was touched {age:.0f} s ago, which is more than {seconds:g} s."


if __name__ == "__main__":
    sys.exit(main())
