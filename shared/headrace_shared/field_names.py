"""How the names of fields in files are compared with the names of columns. Without I/O.

The one rule by which a name of a file becomes the name of a column is `normalised_name`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

from headrace_shared.identifiers import safe_column

_MOST_BYTES: Final = 63
"""Postgres cuts longer identifiers."""

_OTHER: Final = re.compile(r"[^a-z0-9]+")

_LETTERS: Final = str.maketrans(
    {
        "\u00e6": "ae",
        "\u0153": "oe",
        "\u00f8": "o",
        "\u0142": "l",
        "\u0111": "d",
        "\u00f0": "d",
        "\u0127": "h",
        "\u0131": "i",
        "\u00fe": "th",
    }
)
"""Latin letters that Unicode does not decompose into one of ASCII and an accent."""


def folded(name: str) -> str:
    """The name for a comparison in any case: without blanks around it, composed, case-folded."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name.strip()).casefold())


def normalised_name(name: str, place: int = 1) -> str:
    """The column name that a field's name becomes.

    Accents are removed, letters become small, and everything between ASCII letters and digits
    becomes one underscore, none at the ends: `First Name` is `first_name`. `_` precedes a digit
    at the beginning, `_` follows a name that is reserved, and a name of which nothing is left is
    `column_` and its place. The result is a safe column name of at most 63 bytes.

    Args:
        place: of the field in the file, from 1.
    """
    plain = _OTHER.sub("_", _in_ascii_letters(name)).strip("_")
    if not plain:
        return f"column_{place}"
    plain = f"_{plain}" if plain[0].isdigit() else plain
    plain = plain[:_MOST_BYTES]
    return plain if safe_column(plain) else f"{plain}_"


def normalised_names(names: Sequence[str]) -> tuple[str, ...]:
    """The column names that the names of a file's fields become, each once.

    The second field whose name becomes `a` is `a_2`, the third `a_3`; a number that another field
    has by itself is passed over.
    """
    plain = [normalised_name(name, place) for place, name in enumerate(names, 1)]
    used, found = set(plain), list[str]()
    for place, name in enumerate(plain):
        found.append(_unused(name, used) if name in plain[:place] else name)
        used.add(found[-1])
    return tuple(found)


def similar_name(name: str) -> str | None:
    """The name without accents, case and everything that is no letter or digit, for a comparison;
    None if it has other letters than Latin ones, which would be lost."""
    plain = _in_ascii_letters(name)
    if any(letter.isalnum() and not letter.isascii() for letter in plain):
        return None
    return _OTHER.sub("_", plain).strip("_") or None


def _in_ascii_letters(name: str) -> str:
    small = unicodedata.normalize("NFKD", name).casefold().translate(_LETTERS)
    return "".join(letter for letter in small if not unicodedata.combining(letter))


def _unused(name: str, used: set[str]) -> str:
    number = 2
    while (found := f"{name[: _MOST_BYTES - 1 - len(str(number))]}_{number}") in used:
        number += 1
    return found
