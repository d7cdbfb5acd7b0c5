"""Keys are decided, and mistakes told, before anything is sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace_local.destination import check_key, plan
from headrace_local.errors import UserError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("x\n1\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.csv").write_text("x\n2\n")
    return tmp_path


def test_files_keep_their_names_under_a_prefix(folder: Path) -> None:
    planned = plan([str(folder / "a.csv"), str(folder / "b.csv")], "dev/append/t/2026/")
    assert [file.key for file in planned] == ["dev/append/t/2026/a.csv", "dev/append/t/2026/b.csv"]
    assert [file.size_bytes for file in planned] == [4, 4]


def test_destination_without_slash_is_the_whole_key(folder: Path) -> None:
    (planned,) = plan([str(folder / "a.csv")], "dev/append/t/other.csv")
    assert planned.key == "dev/append/t/other.csv"


def test_name_replaces_the_name_of_a_single_file(folder: Path) -> None:
    (planned,) = plan([str(folder / "a.csv")], "dev/append/t/", "c.csv")
    assert planned.key == "dev/append/t/c.csv"


def test_standard_input_has_a_key_and_no_size() -> None:
    (planned,) = plan(["-"], "dev/append/t/rows.csv")
    assert (planned.key, planned.size_bytes) == ("dev/append/t/rows.csv", None)


def test_standard_input_without_a_name_is_refused() -> None:
    with pytest.raises(UserError, match="no file name") as caught:
        plan(["-"], "dev/append/t/")
    assert "--name" in caught.value.what_to_do


def test_table_is_read_as_the_router_reads_it(folder: Path) -> None:
    (planned,) = plan([str(folder / "a.csv")], "Dev/append/User_Data/")
    assert planned.table == ("dev", "user_data")


@pytest.mark.parametrize(
    ("sources", "destination", "name"),
    [
        (["a.csv", "b.csv"], "dev/append/t/one.csv", None),
        (["a.csv", "b.csv"], "dev/append/t/", "one.csv"),
        (["a.csv"], "dev/append/t/one.csv", "two.csv"),
        (["a.csv", "sub/a.csv"], "dev/append/t/", None),
        (["missing.csv"], "dev/append/t/", None),
        (["sub"], "dev/append/t/", None),
    ],
    ids=["many-to-one-key", "many-with-name", "named-twice", "same-key", "missing", "folder"],
)
def test_mistaken_call_is_told_with_a_remedy(
    folder: Path, sources: list[str], destination: str, name: str | None
) -> None:
    with pytest.raises(UserError) as caught:
        plan([str(folder / source) for source in sources], destination, name)
    assert caught.value.exit_status == 2
    assert caught.value.what.endswith(".")
    assert caught.value.what_to_do


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("users.csv", "db_name/action/table_name/file"),
        ("dev/append/users.csv", "db_name/action/table_name/file"),
        ("dev//t/users.csv", "db_name/action/table_name/file"),
        ("dev/append/t/", "db_name/action/table_name/file"),
        ("pg_catalog/append/t/users.csv", "'pg_catalog' cannot be a database name"),
        ("headrace/append/t/users.csv", "'headrace' cannot be a database name"),
        ("dev/delete/t/users.csv", "'delete' is no action; there are append"),
        ("dev/append/user-data/users.csv", "'user-data' cannot be a table name"),
        ("dev/append/t/" + "x" * 1024, "1024 bytes"),
    ],
)
def test_broken_key_rule_names_the_part(key: str, told: str) -> None:
    with pytest.raises(UserError) as caught:
        check_key(key)
    assert told in caught.value.what
    assert "headrace drop" in caught.value.what_to_do


@pytest.mark.parametrize(
    "key", ["dev/append/t/a b+c%20.csv", "DEV/Append/T/ü.csv", "dev/schema/t/2026/11/c.json"]
)
def test_good_key_passes(key: str) -> None:
    check_key(key)
