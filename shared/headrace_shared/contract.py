"""The contract: the document, JSON or YAML, dropped with action `schema`, that describes a table.

What it does not know it refuses, never silently leaves out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AliasChoices,
    Discriminator,
    Field,
    ModelWrapValidatorHandler,
    Tag,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from headrace_shared.api_access import ApiAccess, ColumnName
from headrace_shared.column_references import quoted_columns, quoted_names
from headrace_shared.column_types import canonical_type
from headrace_shared.contract_agreement import (
    DisagreementError,
    Doubts,
    disagreements,
    without_faulty_parts,
)
from headrace_shared.contract_document import DocumentError, read_document
from headrace_shared.data_tests import DataTest
from headrace_shared.date_formats import CAN_LOSE, refuse_bad_format
from headrace_shared.drop import Action, Drop
from headrace_shared.errors import PermanentError
from headrace_shared.file_formats import (
    CsvFormat,
    FileFormat,
    LocalFormat,
    Loss,
    Part,
    Steps,
    is_path,
    json_path,
)
from headrace_shared.identifiers import QUOTED_RULE, RULE, quotable_column, safe_column
from headrace_shared.reasons import Reason

MAX_CONTRACT_BYTES: Final = 1_048_576
MAX_COLUMNS: Final = 1_599
"""Postgres's limit of 1,600 columns, less the lineage column:
https://www.postgresql.org/docs/current/limits.html"""

MAX_FIELDS: Final = 100_000
"""Of one record of a file."""

MAX_TESTS: Final = 100
"""Their results travel in one fact, of 256 KiB at most:
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html"""

_NUL: Final = "\\u0000"
"""As `json.dumps` writes it."""

_MOST_ERRORS_TOLD: Final = 10
_LONGEST_FAULT: Final = 300
"""Characters: a fault repeats what the document says, and a fact must stay small."""

_WORDS: Final = {
    "extra_forbidden": "a contract has no such field",
    "missing": "is missing",
    "model_type": "must be an object",
}


class Position(Part):
    """A field of a CSV, Parquet or Arrow file by its place."""

    position: int = Field(ge=1, le=MAX_FIELDS, description="From 1.")


FieldOfFile = Annotated[
    Annotated[str, Tag("name")] | Annotated[Position, Tag("position")],
    Discriminator(
        lambda given: "name" if isinstance(given, str) else "position",
        custom_error_type="unknown_field_of_file",
        custom_error_message='must be a name, a path, or {"position": 3}',
    ),
]


class Column(Part):
    """One column; `type` is kept in Postgres's canonical spelling."""

    quoted: bool = Field(
        default=False,
        description="The name may be any that Postgres takes in quotes, and is kept as it is "
        "written: `Order Date`.",
    )
    name: str
    type: str
    nullable: bool = True
    description: str = ""
    taken_from: FieldOfFile | None = Field(
        None,
        validation_alias=AliasChoices("from", "path"),
        serialization_alias="from",
        description="How the file names the value: a name of the header, or of a field, as it is "
        'written there; a path in a JSON record, `$.user.id`; or `{"position": 3}`. Without it: '
        "by the column's name.",
    )
    formats: tuple[str | LocalFormat, ...] = Field(
        (),
        description="How dates and times may be written, tried in order, in the codes of strptime: "
        "`%d.%m.%Y`. Without any: as Postgres reads them, ISO 8601.",
    )
    lossy: tuple[Loss, ...] = Field(
        (),
        description="Parts of a text that the column's type cannot hold and that may be dropped: "
        "`offset` (date, time, timestamp), `time_of_day` (date), `date` (time). A row with any "
        "other is a bad row.",
    )

    @field_validator("taken_from")
    @classmethod
    def _can_be_found(cls, given: str | Position | None) -> str | Position | None:
        if isinstance(given, str) and is_path(given):
            json_path(given)
        return given

    @property
    def steps(self) -> Steps | None:
        """The steps of the path that leads to the value in a JSON record; None without a path."""
        given = self.taken_from
        return json_path(given) if isinstance(given, str) and is_path(given) else None

    @property
    def field(self) -> str | None:
        """The name that `from` gives a field of the file; a path of one name is that name."""
        steps = self.steps
        if steps is not None:
            return steps[0] if len(steps) == 1 and isinstance(steps[0], str) else None
        return self.taken_from if isinstance(self.taken_from, str) else None

    @property
    def position(self) -> int | None:
        """The place of the field in a record of the file, from 1, where `from` gives it."""
        return self.taken_from.position if isinstance(self.taken_from, Position) else None

    @model_validator(mode="after")
    def _formats_are_of_times(self) -> Column:
        if self.formats and self.type.partition(" ")[0] not in ("date", "time", "timestamp"):
            raise ValueError(f"formats are for dates and times, not for {self.type}")
        for form in self.formats:
            refuse_bad_format(form if isinstance(form, str) else form.format, self.type)
        return self

    @model_validator(mode="after")
    def _loses_what_it_cannot_hold(self) -> Column:
        for one in self.lossy:
            if one not in CAN_LOSE.get(self.type, ()):
                raise ValueError(f"{self.type} never loses {one!r}: leave it out of lossy")
        return self

    @field_validator("name")
    @classmethod
    def _safe_name(cls, name: str, info: ValidationInfo) -> str:
        if info.data.get("quoted"):
            if quotable_column(name) is None:
                raise ValueError(f"{name!r} cannot be a column name in quotes; use {QUOTED_RULE}")
            return name
        safe = safe_column(name)
        if safe is None:
            raise ValueError(
                f"{name!r} cannot be a column name; use {RULE}, and not a name that the database "
                'keeps for itself; or write "quoted": true beside it'
            )
        return safe

    @field_validator("type")
    @classmethod
    def _known_type(cls, text: str) -> str:
        return canonical_type(text)


class OnBadRows(Part):
    """What becomes of rows that cannot be loaded."""

    mode: Literal["reject", "quarantine"] = Field(
        "reject",
        description="`reject`: one bad row and nothing of the file is loaded; `quarantine`: bad "
        "rows are kept aside, and the others are loaded.",
    )
    max_rows: int = Field(
        1000, ge=0, le=1_000_000, description="With more bad rows than this the drop is rejected."
    )
    max_ratio: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Likewise with more than this part of the file's rows; null for any part.",
    )


class OnReupload(StrEnum):
    """What a second upload of a key means: its rows are added, they replace the rows of the
    earlier upload, or the drop is rejected."""

    APPEND = "append"
    REPLACE = "replace"
    REJECT = "reject"


class Evolution(StrEnum):
    """Which changes a contract may make to its table."""

    SAFE = "safe"
    ALLOW_BREAKING = "allow_breaking"


class Contract(Part):
    """What a table holds and what may be done to it. Only `columns` is required."""

    columns: tuple[Column, ...]
    primary_key: tuple[ColumnName, ...] = ()
    allowed_operations: tuple[Action, ...] = Field(
        default=tuple(Action),
        validation_alias=AliasChoices("allowed_operations", "allowed_actions"),
    )
    format: FileFormat = CsvFormat()
    on_bad_rows: OnBadRows = OnBadRows()
    on_reupload: OnReupload | None = Field(
        None,
        description="What a second upload of a key means. Without it: `append`; `replace` for a "
        "file that corrects quarantined rows (`NAME.corrects-<drop id>.csv`).",
    )
    delete_flag: ColumnName | None = None
    evolution: Evolution = Evolution.SAFE
    tests: tuple[DataTest, ...] = Field(
        (),
        max_length=MAX_TESTS,
        description="What has to hold for the rows of a drop before they go into the table.",
    )
    hard_testing: bool = Field(
        default=True,
        description="A failed test rejects the drop; else the rows that fail are set aside and the "
        "others are loaded.",
    )
    api: ApiAccess | None = None
    description: str = ""

    @model_validator(mode="wrap")
    @classmethod
    def _knows_quoted_columns(
        cls, document: Any, handler: ModelWrapValidatorHandler[Contract]
    ) -> Contract:
        with quoted_columns(quoted_names(document)):
            return handler(document)

    @field_validator("columns")
    @classmethod
    def _count_columns(cls, columns: tuple[Column, ...]) -> tuple[Column, ...]:
        if not 1 <= len(columns) <= MAX_COLUMNS:
            raise ValueError(f"a table has 1 to {MAX_COLUMNS} columns, not {len(columns)}")
        return columns

    @model_validator(mode="after")
    def _parts_agree(self, info: ValidationInfo) -> Contract:
        doubts = info.context if isinstance(info.context, Doubts) else Doubts()
        faults = disagreements(self, doubts)
        if faults:
            raise DisagreementError(faults)
        return self

    def on_reupload_of(self, drop: Drop) -> OnReupload:
        """What a second upload of the drop's key means; `headrace.on_reupload` is the same rule in
        SQL."""
        if self.on_reupload is not None:
            return self.on_reupload
        return OnReupload.APPEND if drop.corrects is None else OnReupload.REPLACE

    @cached_property
    def by_name(self) -> dict[str, Column]:
        """The columns by name, in their order."""
        return {column.name: column for column in self.columns}


def contract_schema() -> dict[str, Any]:
    """The JSON Schema of a contract, for editors; what goes beyond a schema (names that agree,
    types that exist) `read_contract` tells."""
    schema = Contract.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


class ContractError(ValueError):
    """The document is no contract.

    Args:
        faults: each with its place before it: line and column, and a JSON pointer (RFC 6901).
    """

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


def parse_contract(document: bytes) -> Contract:
    """The contract in a JSON or YAML document.

    Raises:
        PermanentError: the document is no contract; the reason tells the first faults.
    """
    try:
        return read_contract(document)
    except ContractError as error:
        raise _refusal(*error.faults) from None


def read_contract(document: bytes) -> Contract:
    """The contract in a JSON or YAML document.

    Raises:
        ContractError: the document is no contract; has every fault, with its line and column.
    """
    if len(document) > MAX_CONTRACT_BYTES:
        raise ContractError([f"it has more than {MAX_CONTRACT_BYTES:,} bytes"])
    try:
        text = document.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ContractError([f"byte {error.start} is not UTF-8"]) from None
    try:
        found = read_document(text)
    except DocumentError as error:
        raise ContractError([str(error)]) from None
    plain = json.dumps(_without_schema(found.data))
    if _NUL in plain:
        raise ContractError(["a text in it has a NUL, which Postgres cannot store"])
    try:
        return Contract.model_validate_json(plain)
    except ValidationError as error:
        faults = [*_faults(error), *_further_faults(found.data, error)]
        raise ContractError([found.located(fault) for fault in faults]) from None


def _without_schema(data: Any) -> Any:
    """The document less the name of its JSON Schema, which editors go by."""
    if not isinstance(data, dict):
        return data
    return {name: part for name, part in data.items() if name != "$schema"}


def _faults(error: ValidationError) -> list[str]:
    found: list[str] = []
    for part in error.errors(include_url=False):
        cause = part.get("ctx", {}).get("error")
        if isinstance(cause, DisagreementError):
            found += map(_shortened, cause.faults)
        else:
            found.append(_fault(part["loc"], _WORDS.get(part["type"], part["msg"])))
    return found


def _further_faults(document: Any, error: ValidationError) -> list[str]:
    """What does not agree among the parts that are not at fault themselves."""
    places = [part["loc"] for part in error.errors(include_url=False)]
    if () in places or ("columns",) in places:
        return []
    rest, doubts = without_faulty_parts(_without_schema(document), places)
    try:
        Contract.model_validate_json(json.dumps(rest), context=doubts)
    except ValidationError as further:
        return [fault for fault in _faults(further) if fault not in _faults(error)]
    return []


def _fault(location: tuple[int | str, ...], message: str) -> str:
    if location[:1] == ("format",):
        # What pydantic puts between is the name of the format, and no part of the document.
        location = (*location[:1], *location[2:])
    if location[:1] == ("columns",) and location[2:3] in (("from",), ("path",)):
        location = (*location[:3], *location[4:])
    pointer = "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in location)
    plain = message.removeprefix("Value error, ")
    return _shortened(f"{pointer}: {plain}" if pointer else plain)


def _shortened(fault: str) -> str:
    return fault if len(fault) <= _LONGEST_FAULT else f"{fault[:_LONGEST_FAULT]}..."


def _refusal(*faults: str) -> PermanentError:
    told = "; ".join(faults[:_MOST_ERRORS_TOLD])
    more = (
        f"; and {len(faults) - _MOST_ERRORS_TOLD} more" if len(faults) > _MOST_ERRORS_TOLD else ""
    )
    return PermanentError(
        Reason(
            code="contract_invalid",
            message=f"The contract is not valid: {told}{more}.",
            remedy="Mend the document and drop it again; the table is as it was.",
        )
    )
