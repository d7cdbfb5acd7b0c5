"""How the files of a table are written: the part `format` of a contract."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, field_validator
from pydantic import model_validator as check

from headrace_shared.text_encodings import canonical_encoding

_STEP: Final = re.compile(r"""\.([^.\[\]"']+)|\[(\d+)\]|\["((?:[^"\\]|\\.)*)"\]""")

Steps = tuple[str | int, ...]

Unknown = Annotated[
    Literal["refuse", "ignore"],
    Field(
        description="A field that no column takes: in a JSON record a bad row, in the header of "
        "another file the file is rejected; or it is left out."
    ),
]

Loss = Literal["offset", "time_of_day", "date"]
"""A part of a text that a column of dates or times may drop."""


class Part(BaseModel):
    """A part of a contract: what it does not know it refuses."""

    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)


def is_path(text: str) -> bool:
    """Whether a text is meant as a path in a JSON record, and not as a field's name."""
    return text.startswith(("$.", "$["))


def json_path(text: str) -> Steps:
    """The steps of a JSON path of names and places: `$.a.b`, `$["a b"][0]`.

    Raises:
        ValueError: it is none; says what a path looks like.
    """
    steps: list[str | int] = []
    position = 1
    while text.startswith("$") and position < len(text):
        step = _STEP.match(text, position)
        if step is None:
            break
        name, place, quoted = step.groups()
        if place is not None:
            steps.append(int(place))
        else:
            steps.append(name if name is not None else re.sub(r"\\(.)", r"\1", quoted))
        position = step.end()
    if not text.startswith("$") or position < len(text):
        raise ValueError(f'{text!r} is no path such as $.order.items or $["a b"][0]')
    return tuple(steps)


class CsvFormat(Part):
    """How the table's CSV files are written."""

    type: Literal["csv"] = "csv"
    delimiter: str = ","
    quote: str = '"'
    escape: str | None = None
    header: bool | Literal["normalise"] = Field(
        default=True,
        description="The first line has the names of the fields; `normalise`: they are compared "
        "with the columns as the names that `headrace contract infer` makes of them.",
    )
    unknown: Unknown = "refuse"
    null: str = ""
    comment: str | None = Field(
        None, description="A line that begins with this character is no row."
    )
    decimal: Literal[".", ","] = Field(
        ".", description="What stands before the fraction in columns of numbers."
    )
    thousands: Literal[".", ",", "'", " ", "\u00a0", "\u202f", "_"] | None = Field(
        None, description="What stands between groups of three digits in columns of numbers."
    )
    percent: bool = Field(
        default=False,
        description="`12%` in a column of numbers is 0.12; a number without the sign is itself.",
    )
    currency: tuple[str, ...] = Field(
        (), description="Signs that may stand before or after a number: `$`, `EUR`."
    )
    accounting: bool = Field(
        default=False, description="`(12)` and `12-` in a column of numbers are -12."
    )
    true: tuple[str, ...] = Field(
        (), description="Words for true in any case, beside those that Postgres reads: `ja`."
    )
    false: tuple[str, ...] = Field((), description="Words for false, as those for true.")
    encoding: str = Field(
        "utf-8",
        description="Any encoding of text that Python knows, in any spelling, such as `utf-16`, "
        "`cp1252`, `iso-8859-2` or `shift_jis`; or `detect`.",
    )
    null_quoted: bool = Field(default=False, description="The null text in quotes is null too.")
    repeated_header: Literal["refuse", "skip", "accept"] = Field(
        "refuse",
        description="A later line equal to the header: a bad row, no row, or a row like others.",
    )
    trailing_delimiter: bool = Field(
        default=False,
        description="Any line may end with one delimiter more, after which nothing comes.",
    )

    @field_validator("encoding")
    @classmethod
    def _one_name_of_encoding(cls, value: str) -> str:
        return "detect" if value.strip().lower() == "detect" else canonical_encoding(value)

    @field_validator("delimiter", "quote", "escape", "comment")
    @classmethod
    def _one_byte(cls, value: str | None) -> str | None:
        # COPY takes a single one-byte character for each:
        # https://www.postgresql.org/docs/current/sql-copy.html
        if value is not None and (len(value.encode()) != 1 or value in "\r\n\0"):
            raise ValueError("must be one ASCII character, and not a line end")
        return value

    @field_validator("null")
    @classmethod
    def _plain_null(cls, value: str) -> str:
        if re.search(r"[\r\n\0]", value):
            raise ValueError("must not hold a line end")
        return value

    @check(mode="after")
    def _characters_differ(self) -> CsvFormat:
        if self.delimiter in (self.quote, self.escape):
            raise ValueError("delimiter and quote must differ")
        if self.comment is not None and self.comment in (self.delimiter, self.quote, self.escape):
            raise ValueError("comment must differ from delimiter, quote and escape")
        if self.delimiter in self.null or self.quote in self.null:
            raise ValueError("null must not hold the delimiter or the quote")
        if self.thousands == self.decimal:
            raise ValueError("thousands and decimal must differ")
        return self

    @check(mode="after")
    def _words_differ(self) -> CsvFormat:
        true, false = ({word.casefold() for word in words} for words in (self.true, self.false))
        if true & false:
            raise ValueError("a word cannot be both true and false")
        if any(not sign.strip() or re.search(r"[\d%()+.,-]", sign) for sign in self.currency):
            raise ValueError("a currency sign has no digits and none of %()+-.,")
        return self

    @property
    def escape_character(self) -> str:
        """The character before a quote inside a quoted value; the quote itself unless told."""
        return self.escape or self.quote


class JsonFormat(Part):
    """How the table's JSON files are written: newline-delimited, one array, or one document."""

    type: Literal["json"]
    records: str | None = Field(
        None,
        description="Where the records are in one document: the path of an array, `$.data.rows`.",
    )
    explode: tuple[str, ...] = Field(
        (),
        description="Paths of arrays, one within the other: each element makes a row of its own. "
        "Paths of columns are looked for in the element first, then in what encloses it.",
    )
    unknown: Unknown = "refuse"
    duplicate_keys: Literal["refuse", "last"] = Field(
        "refuse",
        description="A key that an object has twice, where a column reads it: a bad row, or its "
        "last value counts.",
    )

    @field_validator("explode", mode="before")
    @classmethod
    def _one_is_a_list_too(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("records", "explode")
    @classmethod
    def _are_paths(cls, value: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        for path in (value,) if isinstance(value, str) else value or ():
            json_path(path)
        return value

    @field_validator("records")
    @classmethod
    def _names_alone(cls, value: str | None) -> str | None:
        if value is not None and any(isinstance(step, int) for step in json_path(value)):
            raise ValueError("leads through names alone")
        return value


class ColumnarFormat(Part):
    """Files that say themselves how they are written: Parquet and Arrow IPC."""

    type: Literal["parquet", "arrow"]
    unknown: Unknown = "refuse"


def _type_of(value: Any) -> str:
    found = value.get("type", "csv") if isinstance(value, dict) else getattr(value, "type", "csv")
    return "columnar" if found in ("parquet", "arrow") else str(found)


FileFormat = Annotated[
    Annotated[CsvFormat, Tag("csv")]
    | Annotated[JsonFormat, Tag("json")]
    | Annotated[ColumnarFormat, Tag("columnar")],
    Discriminator(
        _type_of,
        custom_error_type="unknown_format",
        custom_error_message="type must be csv, json, parquet or arrow",
    ),
]


class LocalFormat(Part):
    """A format of dates and times with the names of a language in it."""

    format: str
    locale: str = Field(description="The language of the names of months: `ru`, `de`, `pt_BR`.")

    @field_validator("locale")
    @classmethod
    def _looks_like_one(cls, value: str) -> str:
        if re.fullmatch(r"[a-z]{2,3}(_[A-Za-z0-9]{2,8})*", value.replace("-", "_")) is None:
            raise ValueError("must be the code of a language, such as ru or pt_BR")
        return value.replace("-", "_")
