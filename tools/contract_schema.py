"""Writes the JSON Schema of contracts into docs: `python -m tools.contract_schema`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

from headrace_shared.contract import contract_schema

FILE: Final = Path(__file__).resolve().parent.parent / "docs" / "contract.schema.json"


def text() -> str:
    """The schema as it stands in its file."""
    return json.dumps(contract_schema(), indent=2) + "\n"


def main() -> int:
    """Writes it."""
    FILE.write_text(text(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
