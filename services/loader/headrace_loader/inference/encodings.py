"""In which encoding is a file? What the bytes do not decide is said to be unsure. Without I/O."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import Final

import charset_normalizer

from headrace_loader.inference.errors import InferenceError
from headrace_loader.text_decoding import BYTE_ORDER_MARKS

_USUAL: Final = ("cp1252", "shift_jis", "gb18030", "euc_kr", "big5")
_GUESSED_FROM: Final = 2**20


@dataclass(frozen=True)
class Encoded:
    """A file's text, and the encoding as a contract names it.

    Args:
        unsure: a sentence, if the bytes alone do not decide.
    """

    text: str
    encoding: str
    unsure: str | None = None


def decoded(content: bytes, *, whole: bool) -> Encoded:
    """The text of a file.

    Args:
        whole: the content does not end in the midst of the file.

    Raises:
        InferenceError: no encoding fits all of it.
    """
    for mark, encoding in BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return _marked(content.removeprefix(mark), encoding, whole=whole)
    text = _text(content, "utf-8", whole=whole)
    return Encoded(text, "utf-8") if text is not None else _likeliest(content, whole=whole)


def _marked(content: bytes, encoding: str, *, whole: bool) -> Encoded:
    text = _text(content, encoding, whole=whole)
    if text is None:
        raise InferenceError(
            f"The file begins with the mark of {encoding}, but not all of it is {encoding}.",
            "Write the file anew.",
        )
    # The mark says the order of the bytes.
    return Encoded(text, encoding.removesuffix("-le").removesuffix("-be"))


def _likeliest(content: bytes, *, whole: bool) -> Encoded:
    guess = charset_normalizer.from_bytes(content[:_GUESSED_FROM]).best()
    # Without a coherence it knows no language in which the text makes sense.
    knows = guess is not None and guess.coherence > 0
    names = [codecs.lookup(guess.encoding).name] if guess is not None and knows else []
    usual = _text(content, _USUAL[0], whole=whole)
    for name in [*names, *_USUAL]:
        text = _text(content, name, whole=whole)
        if text is not None:
            # Many encodings read a few letters alike; of these the usual one is named.
            named = _USUAL[0] if text == usual else name
            doubt = f"the file is not UTF-8; {named} is a guess: {_sight(text)}"
            return Encoded(text, named, doubt)
    raise InferenceError(
        "The file is not UTF-8, and no other encoding fits all of its bytes.",
        "Save it as UTF-8; or write the contract by hand, with its encoding.",
    )


def _text(content: bytes, encoding: str, *, whole: bool) -> str | None:
    try:
        return codecs.getincrementaldecoder(encoding)().decode(content, whole)
    except UnicodeDecodeError:
        return None


def _sight(text: str) -> str:
    """The first words that are not ASCII, for the user to judge."""
    words = (word for word in text.split() if not word.isascii())
    return f"look whether {next(words, '')[:60]!r} is right"
