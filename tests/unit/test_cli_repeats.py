"""Files whose bytes are at their key already: found by size and MD5, and what is said of them."""

from __future__ import annotations

import hashlib
import math
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_local import lake_object
from headrace_local.destination import Planned
from headrace_local.errors import UserError
from headrace_local.lake_object import LakeObject, has_bytes_of
from headrace_local.repeats import consequence

MOMENT = datetime(2026, 11, 20, 12, tzinfo=UTC)
CORRECTION = "dev/append/t/a.corrects-6b003640-0000-8000-8000-03b2c64d5e5b.csv"


def an_object(content: bytes, etag: str, **changes: object) -> LakeObject:
    return LakeObject(etag, None, len(content), MOMENT, **changes)  # type: ignore[arg-type]


def md5(content: bytes) -> bytes:
    return hashlib.md5(content, usedforsecurity=False).digest()


def composite(content: bytes, part_bytes: int) -> str:
    parts = [content[at : at + part_bytes] for at in range(0, len(content), part_bytes)]
    return f"{md5(b''.join(map(md5, parts))).hex()}-{len(parts)}"


@given(content=st.binary(min_size=1, max_size=200), part_bytes=st.integers(1, 64))
def test_etag_of_parts_shows_the_same_bytes_where_the_part_size_is_known(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, part_bytes: int
) -> None:
    path = tmp_path_factory.mktemp("same") / "a.csv"
    path.write_bytes(content)
    found = an_object(content, composite(content, part_bytes), part_bytes=part_bytes)
    assert has_bytes_of(found, path) is True
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    assert has_bytes_of(found, path) is False


def test_etag_of_parts_of_unknown_size_proves_sameness_or_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lake_object, "_USUAL_PARTS", (8, 16))
    path, content = tmp_path / "a.csv", b"0123456789abcdefghij"
    path.write_bytes(content)
    assert has_bytes_of(an_object(content, composite(content, 8)), path) is True
    assert math.ceil(len(content) / 9) == 3
    assert has_bytes_of(an_object(content, composite(content, 9)), path) is None


def test_etag_of_an_object_encrypted_with_kms_shows_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"x")
    assert has_bytes_of(an_object(b"x", "0" * 32, has_hash=False), path) is None
    assert has_bytes_of(an_object(b"xy", "0" * 32, has_hash=False), path) is False


def test_plain_etag_shows_it(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"x")
    assert has_bytes_of(an_object(b"x", md5(b"x").hex()), path) is True
    assert has_bytes_of(an_object(b"y", md5(b"y").hex()), path) is False


@pytest.mark.parametrize(
    ("key", "contract", "said"),
    [
        ("dev/append/t/a.csv", {}, "in the table twice"),
        ("dev/append/t/a.csv", {"on_reupload": None}, "in the table twice"),
        ("dev/append/t/a.csv", {"on_reupload": "replace"}, "no row is doubled"),
        ("dev/append/t/a.csv", {"on_reupload": "reject"}, "will be rejected"),
        (CORRECTION, {}, "no row is doubled"),
        (CORRECTION, {"on_reupload": "append"}, "in the table twice"),
        ("dev/truncate/t/a.csv", {}, "no row is doubled"),
        ("dev/upsert/t/a.csv", {}, "no row is doubled"),
        ("dev/upsert/t/a.csv", {"on_reupload": "reject"}, "will be rejected"),
    ],
)
def test_consequence_follows_the_contract(key: str, contract: dict[str, str], said: str) -> None:
    assert said in consequence(Planned("a.csv", key, 1), lambda *_: contract)


def test_consequence_without_a_contract_names_the_rule() -> None:
    def missing(*_: str) -> dict[str, str]:
        raise UserError("Not found", "", "")

    for contract_of in (None, missing):
        told = consequence(Planned("a.csv", "dev/append/t/a.csv", 1), contract_of)
        assert "on_reupload decides" in told
