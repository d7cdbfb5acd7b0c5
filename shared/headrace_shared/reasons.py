"""Why a drop did not load, in words that a user can act on."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class BadRow(BaseModel):
    """One place in a file that could not be loaded.

    `line` is the physical line in the (uncompressed) file, counted from 1 with the header as
    line 1, where the record begins. `column` and `value` are None where the whole record is at
    fault (a missing field, say). `value` is cut at a limit, so a fact stays small.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    line: int
    column: str | None = None
    value: str | None = None
    reason: str


class Reason(BaseModel):
    """What was wrong, where, and what to do.

    `code` is stable and made for programs; `message` and `remedy` are sentences for people.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    code: str
    message: str
    remedy: str = ""
    bad_rows: tuple[BadRow, ...] = ()
