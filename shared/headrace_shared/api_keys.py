"""Keys of the API: what they may ask for, how they are written, and how a table keeps them.

A key is the text `hr_<key id>_<secret>`, shown once. Its table keeps a plain SHA-256 of the secret:
a slow hash is for passwords, which can be guessed; 32 random bytes cannot, at any speed.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from headrace_shared.identifiers import lowered_ascii

KEY_ID: Final = "key_id"
EXPIRY: Final = "expires_at"
"""In seconds since the epoch: DynamoDB removes the item some time after."""
LAST_USED: Final = "last_used_at"
REVOKED: Final = "revoked_at"

MOST_NAME: Final = 64

_MARK: Final = "hr"
_ID_BYTES: Final = 6
_SECRET_BYTES: Final = 32
_TEXT: Final = re.compile(r"hr_([a-z0-9]{1,32})_([A-Za-z0-9_-]{40,128})")
_PART: Final = re.compile(r"\*|[a-z_][a-z0-9_]{0,61}\*?")


class Scope(StrEnum):
    """What a caller may ask for."""

    READ = "read"
    """Drops, tables, contracts, figures: everything but what stands in rows."""

    ROWS = "rows"
    """Rows of tables, by what their contracts show, and bad rows in the quarantine."""

    OPERATE = "operate"
    """What changes something: replays, and moving dead letters back."""


class PatternError(ValueError):
    """A text is no pattern of tables."""


@dataclass(frozen=True, slots=True)
class TablePattern:
    """Tables by name: `sales.orders`, `sales.*`, `sales.daily_*`, `*.*`; each part may end in a
    star."""

    db_name: str
    table_name: str

    @classmethod
    def of(cls, text: str) -> TablePattern:
        """Raises PatternError where the text is none."""
        db_name, dot, table_name = lowered_ascii(text.strip()).partition(".")
        if not dot or not _PART.fullmatch(db_name) or not _PART.fullmatch(table_name):
            raise PatternError(
                f"{text!r} is no pattern of tables: write db_name.table_name, where each may be a "
                "star or end in one, as in sales.*"
            )
        return cls(db_name, table_name)

    def __str__(self) -> str:
        return f"{self.db_name}.{self.table_name}"

    @property
    def names_one(self) -> bool:
        """Whether it is the name of a single table."""
        return "*" not in str(self)

    def covers(self, db_name: str, table_name: str) -> bool:
        """Whether a table is among them."""
        return _matches(self.db_name, db_name) and _matches(self.table_name, table_name)


def _matches(part: str, name: str) -> bool:
    return name.startswith(part[:-1]) if part.endswith("*") else name == part


EVERY_TABLE: Final = TablePattern("*", "*")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is kept of a key; its secret is not.

    Args:
        secret_hash: SHA-256 of the secret, in hexadecimal digits.
        expires_at: None: never.
    """

    key_id: str
    name: str
    secret_hash: str
    scopes: frozenset[Scope]
    tables: tuple[TablePattern, ...]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None


def make_key(
    name: str,
    scopes: Sequence[Scope],
    tables: Sequence[TablePattern],
    now: datetime,
    *,
    lifetime: timedelta | None = None,
    key_id: str | None = None,
) -> tuple[str, ApiKey]:
    """A new key: the text, which nobody can ever read again, and what is kept of it.

    Args:
        lifetime: None: it never expires.
        key_id: None: a random one.
    """
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    kept = ApiKey(
        key_id=key_id or secrets.token_hex(_ID_BYTES),
        name=name,
        secret_hash=hash_of(secret),
        scopes=frozenset(scopes),
        tables=tuple(tables),
        created_at=now,
        expires_at=now + lifetime if lifetime is not None else None,
    )
    return f"{_MARK}_{kept.key_id}_{secret}", kept


def is_key(token: str) -> bool:
    """Whether it is meant to be a key, rather than a token of an issuer."""
    return token.startswith(f"{_MARK}_")


def parse(token: str) -> tuple[str, str] | None:
    """Key id and secret; None where it is no key."""
    found = _TEXT.fullmatch(token)
    return (found[1], found[2]) if found else None


def hash_of(secret: str) -> str:
    """As the table keeps it."""
    return hashlib.sha256(secret.encode()).hexdigest()


def as_item(key: ApiKey) -> dict[str, Any]:
    """The key as DynamoDB takes it; what is None is left out."""
    item: dict[str, Any] = {
        KEY_ID: {"S": key.key_id},
        "name": {"S": key.name},
        "secret_hash": {"S": key.secret_hash},
        "scopes": {"L": [{"S": scope.value} for scope in sorted(key.scopes)]},
        "tables": {"L": [{"S": str(pattern)} for pattern in key.tables]},
        "created_at": {"S": written(key.created_at)},
    }
    if key.expires_at is not None:
        item[EXPIRY] = {"N": str(int(key.expires_at.timestamp()))}
    for name, moment in ((REVOKED, key.revoked_at), (LAST_USED, key.last_used_at)):
        if moment is not None:
            item[name] = {"S": written(moment)}
    return item


def key_of(item: Mapping[str, Any]) -> ApiKey:
    """The key that DynamoDB holds.

    Raises:
        KeyError, ValueError: somebody else's item, or one of a newer version.
    """
    expiry = item.get(EXPIRY)
    return ApiKey(
        key_id=item[KEY_ID]["S"],
        name=item["name"]["S"],
        secret_hash=item["secret_hash"]["S"],
        scopes=frozenset(Scope(one["S"]) for one in item["scopes"]["L"]),
        tables=tuple(TablePattern.of(one["S"]) for one in item["tables"]["L"]),
        created_at=datetime.fromisoformat(item["created_at"]["S"]),
        expires_at=datetime.fromtimestamp(int(expiry["N"]), UTC) if expiry else None,
        revoked_at=_moment(item.get(REVOKED)),
        last_used_at=_moment(item.get(LAST_USED)),
    )


def written(moment: datetime) -> str:
    """As items hold moments: RFC 3339 in UTC, whole seconds."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _moment(value: Mapping[str, str] | None) -> datetime | None:
    return datetime.fromisoformat(value["S"]) if value else None
