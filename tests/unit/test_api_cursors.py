"""A cursor leads on only where this API wrote it, and for the question that it was written for."""

from __future__ import annotations

import base64
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_api.cursors import CursorError, Cursors

CURSORS = Cursors("a secret of the tests")
IDS = st.uuids()
FILTERS = st.fixed_dictionaries(
    {name: st.none() | st.text(max_size=20) for name in ("table_name", "state", "key")}
)
PLACES = st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)).map(
    tuple
)


@given(IDS, FILTERS)
def test_cursor_leads_on_from_the_last_drop(last: UUID, filters: dict[str, str | None]) -> None:
    assert CURSORS.read(CURSORS.write(last, filters), filters) == last


@given(IDS, FILTERS, FILTERS)
def test_cursor_of_another_question_is_refused(
    last: UUID, written: dict[str, str | None], read: dict[str, str | None]
) -> None:
    cursor = CURSORS.write(last, written)
    if written == read:
        assert CURSORS.read(cursor, read) == last
    else:
        with pytest.raises(CursorError):
            CURSORS.read(cursor, read)


@given(IDS, FILTERS, st.data())
def test_edited_cursor_is_refused(
    last: UUID, filters: dict[str, str | None], data: st.DataObject
) -> None:
    signed = bytearray(_bytes(CURSORS.write(last, filters)))
    place = data.draw(st.integers(0, len(signed) - 1))
    signed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CursorError):
        CURSORS.read(base64.urlsafe_b64encode(bytes(signed)).decode().rstrip("="), filters)


@given(st.text(max_size=80), FILTERS)
def test_forged_cursor_is_refused(cursor: str, filters: dict[str, str | None]) -> None:
    with pytest.raises(CursorError):
        CURSORS.read(cursor, filters)


@given(IDS, FILTERS)
def test_cursor_of_another_secret_is_refused(last: UUID, filters: dict[str, str | None]) -> None:
    with pytest.raises(CursorError):
        Cursors("another secret, as long").read(CURSORS.write(last, filters), filters)


@given(st.binary(max_size=100), FILTERS, FILTERS)
def test_any_content_is_sealed_for_its_question(
    content: bytes, filters: dict[str, str | None], others: dict[str, str | None]
) -> None:
    cursor = CURSORS.seal(content, filters)
    assert CURSORS.unseal(cursor, filters) == content
    if others != filters:
        with pytest.raises(CursorError):
            CURSORS.unseal(cursor, others)


@pytest.mark.parametrize("stray", [" ", "\n", "!", ".", "~", "é", "=", "+"])
@pytest.mark.parametrize("place", [0, 7, None])
def test_cursor_with_a_stray_character_is_refused(stray: str, place: int | None) -> None:
    cursor = CURSORS.write(UUID(int=7), {})
    end = len(cursor) if place is None else place
    with pytest.raises(CursorError):
        CURSORS.read(cursor[:end] + stray + cursor[end:], {})


def test_cursor_in_another_spelling_is_refused() -> None:
    cursors = [CURSORS.write(UUID(int=number), {}) for number in range(100)]
    spelled = [one.replace("-", "+").replace("_", "/") for one in cursors]
    for other in set(spelled) - set(cursors):
        with pytest.raises(CursorError):
            CURSORS.read(other, {})


@pytest.mark.parametrize("content", [b"", b"x" * 15, b"x" * 17])
def test_sealed_content_that_is_no_drop_id_is_refused(content: bytes) -> None:
    with pytest.raises(CursorError):
        CURSORS.read(CURSORS.seal(content, {}), {})


def test_cursor_needs_no_escaping_in_a_url() -> None:
    cursor = CURSORS.write(UUID(int=2**128 - 1), {})
    assert set(cursor) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def _bytes(cursor: str) -> bytes:
    return base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
