"""`headrace contract`: checks one before it is dropped, or infers one from files."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final
from uuid import UUID

import typer
from rich.text import Text

from headrace_local import console
from headrace_local.api_client import ApiClient
from headrace_local.errors import UserError
from headrace_local.inferring import infer
from headrace_local.runs import table_named
from headrace_local.target import API_VARIABLE, find_api
from headrace_shared.contract import Contract, ContractError, read_contract
from headrace_shared.evolution import Verdict, columns_of, judge

_NOBODY: Final = UUID(int=0)


class Task(StrEnum):
    """What is to be done with the contract."""

    CHECK = "check"
    INFER = "infer"


def contract(
    task: Annotated[
        Task,
        typer.Argument(
            help="check: report every fault, and what it would change. "
            "infer: print the contract that files suggest.",
            show_default=False,
        ),
    ],
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help="The contract; or files of one table, here or s3://bucket/key.",
            show_default=False,
        ),
    ],
    *,
    against: Annotated[
        str | None,
        typer.Option(help="The table that it is meant for: dev.users. Says what would change."),
    ] = None,
    tight: Annotated[
        bool,
        typer.Option(
            "--tight", help="Infer the smallest types, and no nulls where the files have none."
        ),
    ] = False,
    api_url: Annotated[
        str | None, typer.Option("--api-url", help="Where the API is.", envvar=API_VARIABLE)
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The outcome as one JSON object.")
    ] = False,
) -> None:
    """Check a contract before it is dropped, or infer one from files; nothing is changed.

    Exit status: 0 if it is good, 1 if it is not one, would be refused, or does not take every row
    of the files that it was inferred from; 2 for a mistake in the call.

    headrace contract infer users.csv > contract.json

    headrace contract check contract.json --against dev.users
    """
    if task is Task.INFER:
        infer(files, tight=tight)
        return
    if len(files) != 1:
        raise UserError(
            "One contract is checked at a time.", " ".join(files), "Name one file, JSON or YAML."
        )
    _check(Path(files[0]), against, api_url, as_json=as_json)


def _check(file: Path, against: str | None, api_url: str | None, *, as_json: bool) -> None:
    try:
        wanted = read_contract(_content(file))
    except ContractError as error:
        _tell({"valid": False, "faults": list(error.faults)}, as_json=as_json, file=file)
        raise typer.Exit(1) from None
    told: dict[str, Any] = {"valid": True, "faults": []}
    if against is not None:
        verdict = _verdict(wanted, against, api_url)
        refused = verdict.refusal.message if verdict.refusal else None
        told |= {"table": against, "changes": list(verdict.changes), "refused": refused}
    _tell(told, as_json=as_json, file=file)
    raise typer.Exit(1 if told.get("refused") else 0)


def _verdict(wanted: Contract, table: str, api_url: str | None) -> Verdict:
    """As the loader would judge it now."""
    with ApiClient(find_api(api_url)) as api:
        document = api.contract_in_force(*table_named(table))
    present = read_contract(json.dumps(document).encode())
    return judge(_NOBODY, columns_of(present), present, wanted)


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UserError(
            f"The contract cannot be read: {error.strerror}.",
            str(file),
            "Name a JSON or YAML file; docs/contracts.md shows one.",
        ) from None


def _tell(told: dict[str, Any], *, as_json: bool, file: Path) -> None:
    out = console.out()
    if as_json:
        out.print(Text(json.dumps(told)), soft_wrap=True)
        return
    for line in _lines(told, file):
        out.print(Text(line), soft_wrap=True)


def _lines(told: dict[str, Any], file: Path) -> list[str]:
    if not told["valid"]:
        return [f"{file} is not a contract:", *(f"  {fault}" for fault in told["faults"])]
    if "table" not in told:
        return [f"{file} is a contract."]
    if told["refused"]:
        return [f"{told['table']} would refuse it: {told['refused']}"]
    changes = told["changes"] or ["nothing would change"]
    return [f"{told['table']} would take it:", *(f"  {change}" for change in changes)]
