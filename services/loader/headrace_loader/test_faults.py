"""Why a test could not be run, in our own words: Postgres's message repeats values of the rows,
or of whatever the test looked at. The SQLSTATE is all of it that is reported.

https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_OF_THE_TEST: Final = (
    *("0A", "21", "22", "26", "2F", "38", "39", "3F", "42", "54", "P0"),
    *("25001", "25006", "53400", "55000"),
)
"""Classes and codes of SQLSTATEs by which Postgres refuses what a test says, calls or takes."""

_BEYOND: Final = "it names something that a test may not read, or that is not there"

_FAULTS: Final[Mapping[str, str]] = {
    "0A": "it uses what Postgres does not do in this place",
    "21": "a select in it answers with more rows or columns than there may be in its place",
    "22": "a value cannot be converted, or a calculation has no result",
    "22012": "it divides by zero",
    "2201B": "a regular expression in it is not valid",
    "25": "it would write, and a test may only read",
    "3F": _BEYOND,
    "42": "it is not a select that Postgres understands",
    "42501": _BEYOND,
    "42601": "it is not one whole select",
    "42701": "a column name is given twice",
    "42702": "a column name may mean more than one column",
    "42703": "it names a column that is not there",
    "42804": "the types in it do not fit together",
    "42883": "no function or operator of this name takes these types",
    "42P01": _BEYOND,
    "53": "it needs more temporary files than a test may have",
    "54": "it is too large or too deeply nested",
}

SQL_TESTS_OFF: Final = (
    "the operator has turned sql tests off for this database (HEADRACE_SQL_TESTS_OFF); use another "
    "kind of test"
)
IN_OTHER_DATABASE: Final = (
    "it looks into a table of another database; a test may look into tables of its own alone"
)
OUT_OF_TIME: Final = "the time that all tests of a drop may take together was over"


def is_of_the_test(state: str) -> bool:
    """Whether this SQLSTATE is the test's own fault, rather than the server's condition."""
    return state.startswith(_OF_THE_TEST)


def fault_of(state: str) -> str:
    """What this SQLSTATE means for a test: the end of a sentence."""
    return _FAULTS.get(state) or _FAULTS.get(state[:2]) or "Postgres refuses it"
