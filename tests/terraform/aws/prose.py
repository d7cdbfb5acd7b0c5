"""What the documentation of a member says in prose, where AWS's model leaves it out.

The security groups of EC2 are the case that taught this: their model has neither length nor
pattern, and the sentence "Valid characters: a-z, A-Z, 0-9, spaces, and ._-:/()#,@[]+=&;{}!$*".
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any, Final

from botocore.model import Shape, StringShape

from tests.terraform.aws.checks import Check, Fault, has_length, is_between, is_one_of

_TAG: Final = re.compile(r"<[^>]+>")
_SPACES: Final = re.compile(r"\s+")
_LISTED: Final = re.compile(
    r"(?:[Vv]alid|[Aa]llowed) characters(?: are)?:? (a-z, A-Z, 0-9, spaces, and \S+)"
)
_LENGTHS: Final = (
    re.compile(r"(?P<low>\d+) (?:to|and) (?P<high>\d+)(?: \([\w ]+\))? (?:letters|characters)"),
    re.compile(r"(?P<low>\d+) (?:to|and) (?P<high>\d+) \(for Aurora DB clusters\)"),
    re.compile(r"[Uu]p to (?P<high>\d+)(?: Unicode)? (?:characters|letters|alphanumeric)"),
    re.compile(r"can have up to (?P<high>\d+) characters"),
    re.compile(r"maximum of (?P<high>\d+)(?: Unicode)? characters"),
    re.compile(r"no more than (?P<high>\d+) (?:characters|letters)"),
    re.compile(r"maximum length is (?P<high>\d+)"),
)
_RANGES: Final = (
    re.compile(r"[Mm]ust be a value from (?P<low>[\d,]+) to (?P<high>[\d,]+)"),
    re.compile(
        r"[Ss]pecify(?: a value)? between (?P<low>[\d,]+)(?: seconds)?(?: \([\w ]+\))? and "
        r"(?P<high>[\d,]+)"
    ),
    re.compile(
        r"minimum supported value is (?P<low>\d+) GiB and the maximum supported value is "
        r"(?P<high>\d+)"
    ),
)
_VALUES: Final = re.compile(r"Possible values are: ([\d, and]+)\.")
_ALTERNATIVES: Final = re.compile(r"Valid Values: (\w+(?: \| \w+)+)")
_SHAPES: Final[tuple[tuple[str, str, str], ...]] = (
    # What the documentation says, the pattern of a right value, what is wrong with others.
    (
        r"letters, numbers, or hyphens(?! \))",
        r"[A-Za-z0-9-]*",
        "has more than letters, digits and hyphens",
    ),
    (
        r"only alphanumeric characters or hyphens",
        r"[A-Za-z0-9-]*",
        "has more than letters, digits and hyphens",
    ),
    (
        r"\d+ letters or numbers|up to \d+ alphanumeric characters",
        r"\w*",
        "has more than letters, digits and underscores",
    ),
    (
        r"letters \(uppercase and lowercase\), numbers, underscores, and hyphens",
        r"[A-Za-z0-9_-]*",
        "has more than letters, digits, underscores and hyphens",
    ),
    (
        r"uppercase and lowercase ASCII letters, numbers, underscores, and hyphens",
        r"[A-Za-z0-9_-]*(?:\.fifo)?",
        "has more than letters, digits, underscores and hyphens",
    ),
    (
        r"alphanumeric characters, hyphens \( - \), and underscores \( _ \)",
        r"[A-Za-z0-9_-]*(?:\.fifo)?",
        "has more than letters, digits, underscores and hyphens",
    ),
    (
        r"letters, numbers, periods, underscores, spaces, or hyphens",
        r"[A-Za-z0-9._ -]*",
        "has more than letters, digits, periods, underscores, spaces and hyphens",
    ),
    (
        r'valid characters are A-Z, a-z, 0-9, "-", and "_"',
        r"[A-Za-z0-9_-]*",
        "has more than letters, digits, underscores and hyphens",
    ),
    (
        r"ASCII letters, numbers, and the following characters: /_\+=\.@-",
        r"[A-Za-z0-9/_+=.@-]*",
        "has more than letters, digits and /_+=.@-",
    ),
    (
        r"valid characters are letters, numbers, and underscore\.",
        r"[A-Za-z0-9_]*",
        "has more than letters, digits and underscores",
    ),
    (
        r"first character must be a lowercase letter",
        r"[a-z].*",
        "does not begin with a lower-case letter",
    ),
    (r"First character must be a letter", r"[A-Za-z].*", "does not begin with a letter"),
    (r"(?:Can't|must not) (?:begin or )?end with a hyphen(?! followed)", r".*[^-]", "ends with -"),
    (r"must not begin or end with a hyphen", r"[^-].*", "begins with -"),
    (r"two consecutive hyphens", r"(?!.*--).*", "has two hyphens in a row"),
    (r'must not begin with "internal-"', r"(?!internal-).*", "begins with internal-"),
    (r"Can't start with sg- ", r"(?!sg-).*", "begins with sg-"),
    (r"May not begin with aws: ", r"(?![aA][wW][sS]:).*", "begins with aws:"),
    (r"Must not be default\.", r"(?!default$).*", "is reserved"),
    (
        r"end your secret name with a hyphen followed by six",
        r"(?!.*-[\w]{6}$).*",
        "ends like an ARN",
    ),
)


SENTENCES: Final = (
    *(_LISTED, *_LENGTHS, *_RANGES, _VALUES, _ALTERNATIVES),
    *(re.compile(sentence) for sentence, _, _ in _SHAPES),
)
"""Everything that is read out of documentation; a test finds each in the one of a member."""


def prose(shape: Shape) -> str:
    """Its documentation as plain text."""
    return _SPACES.sub(" ", html.unescape(_TAG.sub(" ", shape.documentation or ""))).strip()


def keyed_range(text: str, key: str) -> Check:
    """Of "KEY - ... An integer from 60 to 86,400" and "KEY - ... The range is 0-3600".

    Raises:
        LookupError: the documentation says no range of it.
    """
    said = re.search(
        rf"{re.escape(key)} [\u2013-] (?:(?! [\u2013-] ).)*?"
        r"(?:integer from|[Tt]he range is|between) "
        r"(?P<low>[\d,]+)(?:-| (?:\w+ (?:\([^)]*\) )?)?(?:to|and) )(?P<high>[\d,]+)",
        text,
    )
    if said is None:
        raise LookupError(f"the documentation says no range of {key}")
    return is_between(*(int(said[name].replace(",", "")) for name in ("low", "high")))


def of_prose(shape: Shape) -> Iterator[Check]:
    text = prose(shape)
    if isinstance(shape, StringShape):
        yield from _characters(text)
        yield from (has_length(*_bounds(text, found)) for found in _LENGTHS if found.search(text))
        yield from _shapes(text)
        if (found := _ALTERNATIVES.search(text)) and not shape.enum:
            yield is_one_of(frozenset(found[1].split(" | ")))
    elif shape.type_name in ("integer", "long", "float", "double"):
        yield from (is_between(*_bounds(text, found)) for found in _RANGES if found.search(text))
        if found := _VALUES.search(text):
            yield is_one_of(frozenset(re.findall(r"\d+", found[1])))


def _characters(text: str) -> Iterator[Check]:
    if listed := _LISTED.search(text):
        special = listed[1].rpartition(" and ")[2]
        allowed = re.compile(f"[a-zA-Z0-9 {re.escape(special)}]*")

        def check(value: Any) -> Fault | None:
            if allowed.fullmatch(str(value)):
                return None
            bad = "".join(sorted(set(re.sub(allowed, "", str(value)))))
            return f"{value!r} has {bad!r}; allowed are letters, digits, spaces and {special}"

        yield check


def _shapes(text: str) -> Iterator[Check]:
    for said, right, wrong in _SHAPES:
        if re.search(said, text):
            yield _shaped(re.compile(right, re.DOTALL | re.ASCII), wrong)


def _shaped(right: re.Pattern[str], wrong: str) -> Check:
    def check(value: Any) -> Fault | None:
        return None if right.fullmatch(str(value)) else f"{value!r} {wrong}"

    return check


def _bounds(text: str, pattern: re.Pattern[str]) -> tuple[int | None, int | None]:
    found = pattern.search(text)
    assert found is not None
    numbers = {name: int(one.replace(",", "")) for name, one in found.groupdict().items() if one}
    return numbers.get("low"), numbers.get("high")
