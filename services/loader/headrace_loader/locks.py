"""The advisory locks that keep drops of one table in their places."""

from __future__ import annotations

import hashlib

from headrace_shared.drop import Drop


def lock_key(drop: Drop) -> int:
    """The advisory lock of a drop's table."""
    return table_lock_key(f"{drop.db_name}.{drop.table_name}")


def table_lock_key(table: str) -> int:
    """The advisory lock of a table, named as `db_name.table_name`."""
    return hash_key(f"table {table}")


def version_lock_key(drop: Drop) -> int:
    """The advisory lock of a drop's key in the lake: versions of one key come one by one."""
    return hash_key(f"object {drop.bucket} {drop.key}")


def hash_key(name: str) -> int:
    """A lock's number; a rare collision makes two tables wait for one another, nothing worse."""
    digest = hashlib.sha256(f"headrace {name}".encode()).digest()
    return int.from_bytes(digest[:8], signed=True)
