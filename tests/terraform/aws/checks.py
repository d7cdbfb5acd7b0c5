"""Checks of one value: each says what is wrong with it, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.terraform.aws.java_patterns import compiled

Fault = str
Check = Callable[[Any], Fault | None]


def has_length(low: int | None, high: int | None) -> Check:
    def check(value: Any) -> Fault | None:
        length = len(str(value))
        if high is not None and length > high:
            return f"{value!r} has {length} characters, at most {high} are allowed"
        if low is not None and length < low:
            return f"{value!r} has {length} characters, at least {low} are needed"
        return None

    return check


def is_between(low: float | None, high: float | None) -> Check:
    def check(value: Any) -> Fault | None:
        number = float(value)
        if (low is not None and number < low) or (high is not None and number > high):
            return f"{value} is not between {low} and {high}"
        return None

    return check


def is_one_of(allowed: frozenset[str]) -> Check:
    def check(value: Any) -> Fault | None:
        if str(value) in allowed:
            return None
        return f"{value!r} is not one of {', '.join(sorted(allowed)[:20])}"

    return check


def matches(pattern: str) -> Check:
    def check(value: Any) -> Fault | None:
        if not isinstance(value, str) or compiled(pattern).fullmatch(value):
            return None
        return f"{value!r} does not match {pattern}"

    return check
