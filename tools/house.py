"""The rules of the house in one run: `python -m tools.house` prints each violation, or nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tools.fixed_ports import fixed_ports
from tools.imports import forbidden_imports, unlocked_imports
from tools.locks import drifted, stale, unhashed
from tools.terraform_tables import stale_tables
from tools.texts import folders_without_readme, traces_of_one_machine

ROOT: Final = Path(__file__).resolve().parent.parent
RULES: Final[tuple[Callable[[Path], list[str]], ...]] = (
    forbidden_imports,
    unlocked_imports,
    unhashed,
    stale,
    drifted,
    traces_of_one_machine,
    folders_without_readme,
    stale_tables,
    fixed_ports,
)


def main() -> int:
    """Prints every violation; 0 if there is none."""
    violations = [f"{rule.__name__}: {found}" for rule in RULES for found in rule(ROOT)]
    for violation in violations:
        print(violation, file=sys.stderr)
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
