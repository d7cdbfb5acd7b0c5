"""Do the parts of a contract agree with each other? All that does not, in one look."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headrace_shared.api_access import ApiAccess
from headrace_shared.file_formats import CsvFormat, FileFormat, JsonFormat
from headrace_shared.identifiers import quotable_column, safe_column

if TYPE_CHECKING:
    from headrace_shared.contract import Column, Contract

_ANY_TEST: dict[str, Any] = {"row_count": {"min": 0}}


class DisagreementError(ValueError):
    """Parts of a contract do not agree.

    Args:
        faults: each with its place as a JSON pointer (RFC 6901) before it.
    """

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class Doubts:
    """What is not known of a contract, because parts of its document were at fault.

    Args:
        columns: names of columns whose types are not known.
        parts: fields of the contract that were left out.
    """

    columns: Collection[str] = ()
    parts: Collection[str] = ()


def disagreements(contract: Contract, doubts: Doubts) -> list[str]:
    """Every fault between the parts of a contract, as far as there is no doubt about them."""
    names = [column.name for column in contract.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    kinds = {one.name: one.type for one in contract.columns if one.name not in doubts.columns}
    return [
        *(f"/columns: {name!r} is there twice" for name in twice),
        *_unknown_names(contract, names),
        *_of_key(contract, kinds),
        *_of_api(contract, kinds),
        *_of_delete_flag(contract, kinds, doubts),
        *_of_fields(contract, doubts),
    ]


def without_faulty_parts(
    document: Mapping[str, Any], places: Collection[tuple[int | str, ...]]
) -> tuple[dict[str, Any], Doubts]:
    """A document that can be looked at further, and what is in doubt then.

    Args:
        document: with a list of columns.
        places: where its faults are.
    """
    of_columns = {place[1] for place in places if place[0] == "columns" and len(place) > 1}
    of_tests = {place[1] for place in places if place[0] == "tests" and len(place) > 1}
    parts = {str(place[0]) for place in places} - {"columns", "tests"}
    rest = {name: part for name, part in document.items() if name not in parts}
    columns = [
        _as_text(one) if number in of_columns else one
        for number, one in enumerate(document["columns"])
    ]
    rest["columns"] = [one for one in columns if not isinstance(one, dict) or one.get("name")]
    if of_tests:
        rest["tests"] = [
            _ANY_TEST if number in of_tests else one for number, one in enumerate(document["tests"])
        ]
    doubted = {_name(_as_text(document["columns"][int(number)])) for number in of_columns}
    return rest, Doubts(doubted, parts)


def _unknown_names(contract: Contract, names: Collection[str]) -> Iterator[str]:
    api = contract.api or ApiAccess()
    for place, used in (
        ("primary_key", contract.primary_key),
        ("api/filter_by", api.filter_names),
        ("api/columns", api.columns),
        ("delete_flag", (contract.delete_flag,) if contract.delete_flag else ()),
        *((f"tests/{number}", test.columns) for number, test in enumerate(contract.tests)),
    ):
        for name in dict.fromkeys(used):
            if name not in names:
                yield f"/{place}: {name!r} is not one of the columns"


def _of_key(contract: Contract, kinds: Mapping[str, str]) -> Iterator[str]:
    for name in contract.primary_key:
        if kinds.get(name) == "json":
            yield f"/primary_key: {name!r} is json, which has no equality; use jsonb"


def _of_api(contract: Contract, kinds: Mapping[str, str]) -> Iterator[str]:
    api = contract.api or ApiAccess()
    for fault in api.incomparable(kinds):
        yield f"/api/filter_by: {fault}"
    for name in dict.fromkeys([*api.filter_names, *api.columns]):
        if re.search(r"[\[\],]", name):
            yield f"/api: {name!r} has a bracket or a comma, which no parameter of the API can name"


def _of_delete_flag(contract: Contract, kinds: Mapping[str, str], doubts: Doubts) -> Iterator[str]:
    flag = contract.delete_flag
    if flag is None:
        return
    if flag in kinds and kinds[flag] != "boolean":
        yield f"/delete_flag: {flag!r} must be a boolean column"
    if not contract.primary_key and "primary_key" not in doubts.parts:
        yield "/delete_flag: keys are removed by primary_key, which is missing"


def _of_fields(contract: Contract, doubts: Doubts) -> Iterator[str]:
    """What `from` says that the files of the table cannot have."""
    written = contract.format
    if "format" in doubts.parts:
        return
    for place, column in enumerate(contract.columns):
        fault = _of_field(column, written)
        if fault:
            yield f"/columns/{place}/from: {fault}"
    if isinstance(written, JsonFormat):
        return
    for taken in ("field", "position"):
        given = [getattr(one, taken) for one in contract.columns]
        for twice in sorted({one for one in given if one is not None and given.count(one) > 1}):
            yield f"/columns: two columns take the {taken} {twice!r} of the file"


def _of_field(column: Column, written: FileFormat) -> str | None:
    if isinstance(written, JsonFormat):
        positioned = column.position is not None
        return "a JSON record has no positions; write a name or a path" if positioned else None
    if column.steps is not None and column.field is None:
        return (
            f"a path of several steps leads to nothing in {written.type} files; write the name "
            "of the field"
        )
    if column.field is not None and isinstance(written, CsvFormat) and written.header is False:
        return 'the files have no header with names; write {"position": ...}'
    return None


def _as_text(column: object) -> dict[str, Any]:
    """A column of the same name, if it has a good one, that has no fault."""
    is_quoted = isinstance(column, dict) and column.get("quoted") is True
    name = quotable_column(_name(column)) if is_quoted else safe_column(_name(column))
    return {"name": name, "quoted": is_quoted, "type": "text"}


def _name(column: object) -> str:
    name = column.get("name") if isinstance(column, dict) else None
    return name if isinstance(name, str) else ""
