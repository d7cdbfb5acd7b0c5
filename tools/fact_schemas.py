"""Writes the JSON Schema of each fact into docs/facts: `python -m tools.fact_schemas`.

The examples beside them are written by hand: they are added, never edited, and parse forever.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

from headrace_shared.facts import FACTS, Fact

FOLDER: Final = Path(__file__).resolve().parent.parent / "docs" / "facts"


def schema_file(detail_type: str) -> Path:
    """Where the schema of a fact is committed."""
    return FOLDER / f"{_slug(detail_type)}.schema.json"


def examples_file(detail_type: str) -> Path:
    """Where every example of a fact that was ever committed is."""
    return FOLDER / f"{_slug(detail_type)}.examples.json"


def schema(fact: type[Fact]) -> str:
    """The fact's schema as it stands in its file."""
    return json.dumps(fact.model_json_schema(), indent=2) + "\n"


def main() -> int:
    """Writes them all."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, fact in FACTS.items():
        schema_file(name).write_text(schema(fact), "utf-8")
    return 0


def _slug(detail_type: str) -> str:
    return detail_type.lower().replace(" ", "-")


if __name__ == "__main__":
    sys.exit(main())
