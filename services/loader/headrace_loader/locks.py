"""The advisory locks that keep drops of one table in their places."""

from __future__ import annotations

import hashlib

from headrace_shared.drop import Drop


def lock_key(drop: Drop) -> int:
    """The advisory lock of a drop's table."""
    return hash_key(f"table {drop.db_name}.{drop.table_name}")


def hash_key(name: str) -> int:
    """A lock's number; a rare collision makes two tables wait for one another, nothing worse."""
    digest = hashlib.sha256(f"headrace {name}".encode()).digest()
    return int.from_bytes(digest[:8], signed=True)
