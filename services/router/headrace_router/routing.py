"""What is this key? The router's one decision, without I/O.

A key is `db_name/action/table_name/file`, with any folders after the table belonging to the file;
or a route says what it stands for.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from headrace_shared.drop import Action, Drop
from headrace_shared.errors import PermanentError
from headrace_shared.identifiers import RULE, safe_identifier, safe_schema
from headrace_shared.key_rules import DEFAULT_KEY_RULES, KeyRules, LeftAlone
from headrace_shared.reasons import Reason
from headrace_shared.routes import Place
from headrace_shared.settings import ANY_DATABASE

KEY_FORM: Final = "db_name/action/table_name/file"

CONTRACT_NAMES: Final = (".json", ".yaml", ".yml")
"""The ends of the names of contracts. A file of rows may have any name: what it is, its content
and the contract decide, and the loader knows these."""


@dataclass(frozen=True, slots=True)
class Routed:
    """The drop is to be loaded; it says where."""

    drop: Drop


@dataclass(frozen=True, slots=True)
class Rejected:
    """The drop cannot be loaded; as much of its place as could be read is filled in."""

    drop: Drop
    reason: Reason


@dataclass(frozen=True, slots=True)
class Ignored:
    """No drop at all: a folder's placeholder, a marker, or a key that no route fits."""

    drop: Drop
    why: LeftAlone


def route(
    drop: Drop,
    databases: Collection[str],
    rules: KeyRules = DEFAULT_KEY_RULES,
) -> Routed | Rejected | Ignored:
    """Decides what is to become of an object that landed.

    Args:
        drop: with db_name, action, table_name and file still open.
        databases: the allowed db_names, or `*` among them for any.
        rules: which objects are drops, and where they belong.
    """
    why = rules.left_alone(drop.key, drop.size_bytes)
    if why is not None:
        return Ignored(drop, why)
    place = rules.place(drop.key)
    placed = _placed(drop, place)
    try:
        _check(placed, place, databases)
    except PermanentError as error:
        return Rejected(placed, error.reason)
    return Routed(placed)


def _placed(drop: Drop, place: Place) -> Drop:
    """The drop with each part of its place that is good; the others stay None."""
    return drop.model_copy(
        update={
            "db_name": safe_schema(place.db_name),
            "action": _action(place.action),
            "table_name": safe_identifier(place.table_name),
            "file": place.file or None,
        }
    )


def _action(name: str) -> Action | None:
    try:
        return Action(name.lower())
    except ValueError:
        return None


def _check(drop: Drop, place: Place, databases: Collection[str]) -> None:
    if not all((place.db_name, place.action, place.table_name, place.file)):
        raise _refusal(
            "key_malformed",
            f"The key {drop.key!r} does not have the form {KEY_FORM}.",
            f"Upload the file as {KEY_FORM}, for example dev/append/users/users.csv.",
        )
    _check_database(drop, place.db_name, databases)
    _check_action(drop, place.action)
    _check_table(drop, place.table_name)
    _check_file(drop)


def _check_database(drop: Drop, name: str, databases: Collection[str]) -> None:
    if drop.db_name is None:
        raise _refusal(
            "database_name_unsafe",
            f"{name!r} cannot be a database name.",
            f"Use {RULE}; names that begin with pg_, information_schema, public and headrace are "
            "reserved.",
        )
    if ANY_DATABASE not in databases and drop.db_name not in databases:
        raise _refusal(
            "database_unknown",
            f"The database {drop.db_name!r} is not one that this platform loads.",
            f"Use one of {', '.join(sorted(databases))}, or have it added to HEADRACE_DATABASES.",
        )


def _check_action(drop: Drop, name: str) -> None:
    if drop.action is None:
        raise _refusal(
            "action_unknown",
            f"The action {name!r} is unknown.",
            f"Use one of {', '.join(Action)} as the second part of the key.",
        )


def _check_table(drop: Drop, name: str) -> None:
    if drop.table_name is None:
        raise _refusal("table_name_unsafe", f"{name!r} cannot be a table name.", f"Use {RULE}.")


def _check_file(drop: Drop) -> None:
    assert drop.file is not None
    if drop.action is Action.SCHEMA and not drop.file.lower().endswith(CONTRACT_NAMES):
        raise _refusal(
            "file_type_unsupported",
            f"{drop.file!r} is not a file that the action {drop.action} takes.",
            f"Its name must end in {' or '.join(CONTRACT_NAMES)}.",
        )
    if drop.size_bytes == 0:
        raise _refusal(
            "file_empty",
            "The object is empty (0 bytes).",
            "Upload it again with its content; a CSV with only the header line holds no rows and "
            "is fine.",
        )


def _refusal(code: str, message: str, remedy: str) -> PermanentError:
    return PermanentError(Reason(code=code, message=message, remedy=remedy))
