"""`headrace check`: what would become of a file, before it is dropped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.text import Text

from headrace_local import console
from headrace_local.api_client import ApiClient
from headrace_local.dry_runs import DryRun, dry_runs
from headrace_local.errors import UserError
from headrace_local.figures import count
from headrace_local.local_copy import local_copy
from headrace_local.query_commands import ApiUrl, AsJson
from headrace_local.render import bad_rows_table
from headrace_local.render import show as print_aligned
from headrace_local.runs import table_named
from headrace_local.target import find_api
from headrace_shared.contract import ContractError, read_contract

_REJECTED: Final = 1


def check(
    file: Annotated[
        str, typer.Argument(help="On this machine, or s3://bucket/key.", show_default=False)
    ],
    *,
    contract: Annotated[
        Path | None, typer.Option(help="The contract, JSON or YAML.", show_default=False)
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(help="The table whose contract in force counts: dev.users."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit status 1 for any bad row, quarantined or not.")
    ] = False,
    limit: Annotated[int, typer.Option(help="How many faults are shown.", min=1)] = 20,
    api_url: ApiUrl = None,
    as_json: AsJson = False,
) -> None:
    """Check a file against a contract: the loader reads it into an empty Postgres that is removed
    again. No table, lake or log is touched. Tests that need other tables are not run.

    Exit status: 0 if the file would be loaded, 1 if it would be rejected, 2 for a mistake in the
    call.

    headrace check users.csv --contract users.yaml

    headrace check s3://bucket/raw/users.csv --against dev.users
    """
    document = _contract(contract, against, api_url)
    with local_copy(file) as path:
        (found,) = dry_runs(document, [path])
    if as_json:
        console.out().print(Text(json.dumps(_as_json(found), ensure_ascii=False)), soft_wrap=True)
    else:
        _show(found, limit)
    if found.reason is not None or (strict and found.bad_rows):
        raise typer.Exit(_REJECTED)


def _contract(path: Path | None, against: str | None, api_url: str | None) -> dict[str, Any]:
    if (path is None) == (against is None):
        raise UserError(
            "It is not clear which contract counts.",
            "headrace check",
            "Give one of --contract FILE and --against DB.TABLE.",
        )
    if against is not None:
        with ApiClient(find_api(api_url)) as api:
            return dict(api.contract_in_force(*table_named(against)))
    assert path is not None
    try:
        contract = read_contract(path.read_bytes())
    except OSError as error:
        raise UserError(
            f"The contract cannot be read: {error.strerror}.",
            str(path),
            "Name a JSON or YAML file.",
        ) from None
    except ContractError as error:
        raise UserError(
            f"The contract is not valid: {'; '.join(error.faults)}.",
            str(path),
            f"Correct it: headrace contract check {path}",
        ) from None
    return contract.model_dump(mode="json")


def _show(found: DryRun, limit: int) -> None:
    out = console.out()
    for line in _summary(found):
        out.print(Text(line), soft_wrap=True)
    if found.faults:
        print_aligned(out, bad_rows_table(list(islice(found.faults, limit))))
    if len(found.faults) > limit:
        out.print(f"... and more: --limit {len(found.faults)} shows them.")


def _summary(found: DryRun) -> Iterator[str]:
    rows = f"{count(found.rows)} rows are good, {count(found.bad_rows)} bad."
    if found.reason is None:
        yield f"The file would be loaded: {rows}"
    elif found.rows or found.bad_rows:
        yield f"The file would be rejected ({found.reason.code}): {rows}"
    if found.reason is not None:
        yield found.reason.message
    for warning in found.warnings:
        yield f"warning: {warning.message}"
    for test in found.tests:
        if not test.passed:
            yield f"test {test.label} ({test.severity}) fails: {test.message}"
    if found.not_run:
        yield f"not run, because they need other tables: {', '.join(found.not_run)}"


def _as_json(found: DryRun) -> dict[str, Any]:
    return {
        "loads": found.reason is None,
        "rows": found.rows,
        "bad_rows": found.bad_rows,
        "reason": found.reason.model_dump(mode="json") if found.reason else None,
        "faults": [one.model_dump(mode="json", exclude_none=True) for one in found.faults],
        "warnings": [one.model_dump(mode="json") for one in found.warnings],
        "tests": [one.model_dump(mode="json") for one in found.tests],
        "not_run": list(found.not_run),
    }
