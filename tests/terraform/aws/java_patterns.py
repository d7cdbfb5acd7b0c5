"""Patterns of AWS's models, which are of Java's dialect, as Python's."""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import cache
from typing import Final

_POSIX: Final = {
    "Alpha": "a-zA-Z",
    "Alnum": "a-zA-Z0-9",
    "Digit": "0-9",
    "Lower": "a-z",
    "Upper": "A-Z",
    "Punct": re.escape("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"),
    "Graph": "!-~",
    "Print": " -~",
    "ASCII": "\\x00-\\x7f",
    "XDigit": "0-9a-fA-F",
    "Space": " \\t\\n\\x0b\\f\\r",
    "Blank": " \\t",
}

_BEGIN, _END = "\ue000", "\ue001"
"""Around the inside of a class, until it is known whether it stands in another one."""

_TOKEN: Final = re.compile(rf"{_BEGIN}[^{_END}]*{_END}|\\.|.", re.DOTALL)


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern of AWS as one of ours, for a whole value."""
    text = re.sub(r"\\p\{(?:Is)?(\w+)\}", lambda found: _category(found[1]), pattern)
    text = text.replace(r"\uD800\uDC00-\uDBFF\uDFFF", "\U00010000-\U0010ffff")
    text = re.sub(r"\\x\{(\w+)\}", lambda found: re.escape(chr(int(found[1], 16))), text)
    text = _with_classes(text)
    ends = text.endswith("$") or not text.startswith("^")
    return re.compile(text if ends else f"{text}.*", re.DOTALL)


def _category(name: str) -> str:
    return f"{_BEGIN}{_POSIX.get(name) or _ranges(name)}{_END}"


@cache
def _ranges(category: str) -> str:
    """Every character of a Unicode category (L, Nd, ...), as the inside of a class."""
    inside, first, last = [], -1, -2
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code)).startswith(category):
            if code != last + 1:
                inside.append((first, last))
                first = code
            last = code
    return "".join(f"\\U{a:08x}-\\U{b:08x}" for a, b in [*inside[1:], (first, last)])


def _with_classes(text: str) -> str:
    """Categories within a class are part of it; elsewhere they become classes. A bracket within a
    class is a character."""
    result, inside = [], False
    for token in _TOKEN.findall(text):
        if token[0] == _BEGIN:
            result.append(token[1:-1] if inside else f"[{token[1:-1]}]")
        elif token == "[":
            result.append(r"\[" if inside else token)
            inside = True
        else:
            inside = inside and token != "]"
            result.append(token)
    return "".join(result)
