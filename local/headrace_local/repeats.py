"""Files whose bytes are at their key already: what a second upload of them does to the table."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, Final

from headrace_local.destination import Planned
from headrace_local.errors import CommandError
from headrace_local.lake_object import has_bytes_of
from headrace_local.upload import Uploader
from headrace_shared.drop import CORRECTS, Action

ContractOf = Callable[[str, str], Mapping[str, Any]]
"""The contract in force of a table, as a document."""

_LOOKS_AT_ONCE: Final = 8

_SAME: Final = "The key has exactly these bytes already."
_PERHAPS: Final = "The key has a file of this size already, perhaps with the same bytes."


def warnings_of_repeats(
    uploader: Uploader,
    planned: Sequence[Planned],
    contract_of: ContractOf | None,
    stop: threading.Event,
) -> list[str]:
    """A sentence for each file whose bytes its key has already, before anything is sent.

    Args:
        contract_of: None where there is no API to ask.
        stop: once set, no further key is looked at.
    """

    def look(file: Planned) -> bool | None:
        if stop.is_set() or not is_of_rows(file.key):
            return False
        found = uploader.look_before(file)
        if found is None or file.size_bytes is None or found.size_bytes != file.size_bytes:
            return False
        try:
            return has_bytes_of(found, Path(file.source))
        except OSError:
            return False  # the upload says why

    with ThreadPoolExecutor(_LOOKS_AT_ONCE, thread_name_prefix="look") as pool:
        looked = list(pool.map(look, planned))
    cached = cache(contract_of) if contract_of is not None else None
    return [
        f"{file.source}: {_SAME if same else _PERHAPS} {consequence(file, cached)}"
        for file, same in zip(planned, looked, strict=True)
        if same is not False
    ]


def is_of_rows(key: str) -> bool:
    """Whether a key is one of data: a contract may be uploaded any number of times."""
    return key.split("/", 2)[1].lower() != Action.SCHEMA


def consequence(file: Planned, contract_of: ContractOf | None) -> str:
    """What the second upload does to the table."""
    action = file.key.split("/", 2)[1].lower()
    if action == Action.TRUNCATE:
        return "It replaces all earlier rows of the table, so no row is doubled."
    rule = _rule(file, contract_of)
    if rule is None:
        return "The contract's on_reupload decides: with `append` its rows are in the table twice."
    if rule == "reject":
        return "The contract says on_reupload: reject, so it will be rejected."
    if rule == "replace":
        return "It replaces the rows of the earlier upload, so no row is doubled."
    if action == Action.UPSERT:
        return "It sets the same keys to the same rows again, so no row is doubled."
    return (
        "The contract's on_reupload is append: its rows will be in the table twice. To have them "
        "once, take one of the two drops out with `headrace revert`, or set on_reupload: replace."
    )


def _rule(file: Planned, contract_of: ContractOf | None) -> str | None:
    """The contract's on_reupload for this key; None where the contract is not known."""
    if contract_of is None or file.table is None:
        return None
    try:
        contract = contract_of(*file.table)
    except CommandError:
        return None
    default = "replace" if CORRECTS in file.key else "append"
    return str(contract.get("on_reupload") or default)
