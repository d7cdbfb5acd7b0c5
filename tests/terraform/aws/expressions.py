"""CloudWatch's metric math: whether an expression can be read, and what it refers to.

Syntax and functions: CloudWatch user guide, Using math expressions with CloudWatch metrics.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

SOURCE: Final = "CloudWatch user guide, Using math expressions with CloudWatch metrics"

_FUNCTIONS: Final = frozenset(
    re.findall(
        r"\w+",
        """
        ABS ANOMALY_DETECTION_BAND AVG CEIL DATAPOINT_COUNT DB_PERF_INSIGHTS DIFF
        DIFF_TIME DAY DATE EPOCH FILL FIRST FLOOR HOUR IF INSIGHT_RULE_METRIC LAMBDA
        LAST LOG LOG10 MAX METRIC_COUNT METRICS MIN MINUTE MONTH PERIOD RATE
        REMOVE_EMPTY RUNNING_SUM SEARCH SERVICE_QUOTA SLICE SORT STDDEV SUM TIME_SERIES
        YEAR
        """,
    )
)
_WORDS: Final = frozenset({"AND", "OR", "REPEAT", "LINEAR", "ASC", "DESC"})
_TOKEN: Final = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?)|(?P<name>[A-Za-z]\w*)|(?P<text>'[^']*'|\"[^\"]*\")"
    r"|(?P<sign>\|\||&&|==|!=|<=|>=|[-+*/^<>(),\[\]]))"
)
_BINARY: Final = frozenset({"+", "-", "*", "/", "^", "==", "!=", "<=", ">=", "<", ">", "||", "&&"})


@dataclass(frozen=True)
class Call:
    """A function that an expression calls, each argument as its text."""

    function: str
    arguments: tuple[str, ...]


@dataclass
class Parsed:
    """What an expression refers to: ids of metrics, and calls."""

    ids: set[str] = field(default_factory=set)
    calls: list[Call] = field(default_factory=list)


def parsed(expression: str) -> Parsed:
    """What an expression refers to.

    Raises:
        ValueError: CloudWatch would not take it.
    """
    reader = _Reader(list(_tokens(expression)))
    reader.expression()
    if reader.rest():
        raise ValueError(f"{reader.rest()[0]!r} is not expected")
    return reader.found


def _tokens(text: str) -> Iterator[str]:
    at, text = 0, text.strip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise ValueError(f"{text[at:].split()[0]!r} is no metric math")
        yield found[0].strip()
        at = found.end()


class _Reader:
    """By descent: an expression is operands with signs between them."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens, self._at, self.found = tokens, 0, Parsed()

    def rest(self) -> list[str]:
        return self._tokens[self._at :]

    def expression(self) -> None:
        self._operand()
        while self._next() in _BINARY or self._next().upper() in ("AND", "OR"):
            self._take()
            self._operand()

    def _operand(self) -> None:
        token = self._take()
        if token == "-":
            self._operand()
        elif token in ("(", "["):
            self._listed(")" if token == "(" else "]")
        elif not token or not (token[0].isalnum() or token[0] in "'\""):
            raise ValueError(f"{token or 'the end'!r} is not expected")
        elif self._next() == "(":
            self._call(token)
        elif token[0].islower():
            self.found.ids.add(token)
        elif token[0].isalpha() and token not in _WORDS:
            raise ValueError(f"{token!r} is no id: those begin with a lower-case letter")

    def _call(self, function: str) -> None:
        if function not in _FUNCTIONS:
            raise ValueError(f"there is no function {function}")
        self._take()
        arguments = tuple(self._listed(")"))
        self.found.calls.append(Call(function, arguments))

    def _listed(self, end: str) -> list[str]:
        """The texts of what stands between commas, up to the closing sign."""
        found = []
        while self._next() != end:
            first = self._at
            self.expression()
            found.append(" ".join(self._tokens[first : self._at]))
            if self._next() == ",":
                self._take()
            elif self._next() != end:
                raise ValueError(f"{self._next() or 'the end'!r} in place of {end!r}")
        self._take()
        return found

    def _next(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._next()
        self._at += 1
        return token
