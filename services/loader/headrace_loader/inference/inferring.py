"""From files to a contract: each file's fields, their values, and what they suggest."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import duckdb

from headrace_loader.inference.columnar_fields import columnar_fields
from headrace_loader.inference.csv_fields import csv_fields
from headrace_loader.inference.errors import InferenceError
from headrace_loader.inference.fields import Fields
from headrace_loader.inference.json_fields import json_fields
from headrace_loader.inference.profiling import Profile, profile
from headrace_loader.inference.sampling import SAMPLE_BYTES, Sample, sample_of
from headrace_loader.inference.suggesting import Inferred, inferred, merged
from headrace_loader.kinds import Kind

_ALL: str = "every_file"


def infer(
    files: Sequence[tuple[Path, str]], *, tight: bool = False, most_bytes: int = SAMPLE_BYTES
) -> Inferred:
    """The contract that files of one table suggest.

    Args:
        files: each with the name that the user gives it.
        tight: see `suggesting.inferred`.
        most_bytes: how much of each file is looked at.

    Raises:
        InferenceError: none can be inferred, or the files are not written alike.
    """
    with ExitStack() as stack:
        samples = [stack.enter_context(sample_of(path, name, most_bytes)) for path, name in files]
        if {one.kind for one in samples} & {Kind.PARQUET, Kind.ARROW}:
            parts = [_columnar(one) for one in samples]
            _refuse_others(samples, parts)
            return inferred(merged(parts), None, whole=True, tight=tight)
        whole = all(one.whole for one in samples)
        fields, profiles = _text(samples)
        return inferred(fields, profiles, whole=whole, tight=tight)


def _columnar(sample: Sample) -> Fields:
    if sample.kind not in (Kind.PARQUET, Kind.ARROW):
        raise InferenceError(
            f"{sample.name} is not a Parquet or Arrow file, and another one is.",
            "Name files of one kind.",
        )
    return columnar_fields(sample)


def _text(samples: Sequence[Sample]) -> tuple[Fields, list[Profile]]:
    with duckdb.connect(config={"memory_limit": "1GB", "threads": 2}) as connection:
        try:
            parts = [
                _read(connection, sample, f"file_{number}")
                for number, sample in enumerate(samples, 1)
            ]
            _refuse_others(samples, parts)
            fields = merged(parts)
            _union(connection, parts, fields)
            null = str(fields.format.get("null", ""))
            places = range(1, len(fields.fields) + 1)
            return fields, [profile(connection, _ALL, place, null) for place in places]
        except duckdb.Error as error:
            raise InferenceError(
                f"No table can be made out in the file: {str(error).splitlines()[0]}",
                "Look at its first lines; or write the contract by hand: docs/contracts.md.",
            ) from None


def _read(connection: duckdb.DuckDBPyConnection, sample: Sample, table: str) -> Fields:
    if sample.kind is Kind.JSON:
        return json_fields(connection, sample, table)
    return csv_fields(connection, sample, table)


def _refuse_others(samples: Sequence[Sample], parts: Sequence[Fields]) -> None:
    for sample, part in zip(samples, parts, strict=True):
        if part.format != parts[0].format or sample.kind != samples[0].kind:
            raise InferenceError(
                f"{samples[0].name} and {sample.name} are not written alike: "
                f"{dict(parts[0].format)} and {dict(part.format)}.",
                "One contract describes files of one format: name such files together.",
            )


def _union(connection: duckdb.DuckDBPyConnection, parts: Sequence[Fields], fields: Fields) -> None:
    """One table of the values of every file; a field that a file lacks is null in its rows."""
    width = len(fields.fields)
    selects = []
    for number, part in enumerate(parts, 1):
        own = {one.origin: place for place, one in enumerate(part.fields, 1)}
        columns = [
            f"c{own[one.origin]} as c{place}" if one.origin in own else f"null::varchar as c{place}"
            for place, one in zip(range(1, width + 1), fields.fields, strict=True)
        ]
        selects.append(f"select {', '.join(columns)} from file_{number}")  # noqa: S608 - names of ours
    connection.execute(f"create temporary table {_ALL} as {' union all '.join(selects)}")
