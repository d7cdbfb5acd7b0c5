"""The one rule for names that come from users and reach SQL.

A name of ASCII characters is lower-cased and must then match `[a-z_][a-z0-9_]{0,62}`: Postgres cuts
identifiers at 63 bytes (NAMEDATALEN - 1) without an error, and an INSERT would then land in another
table. Other characters are refused before that: the Kelvin sign (U+212A) lower-cases to `k`.
"""

from __future__ import annotations

import re

_SAFE = re.compile(r"[a-z_][a-z0-9_]{0,62}\Z")

# In `public`, every role finds tables and functions without a schema's name.
_RESERVED_SCHEMAS = frozenset({"headrace", "information_schema", "public"})

# Postgres gives every table these columns and refuses to define them again:
# https://www.postgresql.org/docs/current/ddl-system-columns.html
_SYSTEM_COLUMNS = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})

LINEAGE_COLUMN = "_drop_id"

_MOST_BYTES = 63

QUOTED_RULE = (
    f"1 to {_MOST_BYTES} bytes without a NUL, and none of the names that Postgres and Headrace keep"
)

RULE = (
    "a letter or underscore, then letters, digits or underscores, at most 63 characters "
    "(upper case is lowered)"
)


def safe_identifier(name: str) -> str | None:
    """The lower-cased name if it is safe to use in SQL, else None."""
    lowered = lowered_ascii(name)
    return lowered if _SAFE.match(lowered) else None


def lowered_ascii(name: str) -> str:
    """The name in lower case, where all of it is ASCII; else as it is: two names that differ stay
    two names."""
    return name.lower() if name.isascii() else name


def safe_schema(name: str) -> str | None:
    """As `safe_identifier`, and not a schema that belongs to Postgres, to all of its users or to
    Headrace itself."""
    lowered = safe_identifier(name)
    if lowered is None or lowered in _RESERVED_SCHEMAS or lowered.startswith("pg_"):
        return None
    return lowered


LINE_COLUMN = "line number"
"""Of rows that are staged for the tests of a contract."""


def quotable_column(name: str) -> str | None:
    """The name as it is, if Postgres takes it in quotes for a column, and neither Postgres nor
    Headrace adds a column of this name by itself."""
    size = len(name.encode(errors="replace"))
    is_text = "\0" not in name and not any("\ud800" <= one <= "\udfff" for one in name)
    is_free = name not in {*_SYSTEM_COLUMNS, LINEAGE_COLUMN, LINE_COLUMN}
    return name if is_text and is_free and 0 < size <= _MOST_BYTES else None


def safe_column(name: str) -> str | None:
    """As `safe_identifier`, and not a column that Postgres or Headrace adds by itself."""
    lowered = safe_identifier(name)
    if lowered is None or lowered in _SYSTEM_COLUMNS or lowered == LINEAGE_COLUMN:
        return None
    return lowered
