"""The loader on a real Postgres and a real (emulated) lake, without queues: what each file does."""

from __future__ import annotations

import asyncio
import bz2
import gzip
import lzma
from typing import Any

import psycopg
import pytest
import zstandard

from headrace_loader.loading import Loading
from headrace_loader.outcomes import Applied, Loaded, Outcome, Rejected, Superseded
from headrace_loader.postgres import PostgresWarehouse
from headrace_shared.errors import TransientError
from headrace_shared.warehouse_access import WarehouseAccess
from tests.road import CONTRACT, Road


def bad(outcome: Outcome) -> list[tuple[int | None, str | None, str | None]]:
    assert isinstance(outcome, Rejected), outcome
    return [(row.line, row.column, row.value) for row in outcome.reason.bad_rows]


GOOD_FILES: dict[str, tuple[bytes, list[tuple[Any, ...]]]] = {
    "plain": (b"id,name,day\n1,a,2026-01-02\n", [(1, "a", "2026-01-02")]),
    "no final newline": (b"id,name,day\n1,a,2026-01-02", [(1, "a", "2026-01-02")]),
    "crlf": (b"id,name,day\r\n1,a,2026-01-02\r\n", [(1, "a", "2026-01-02")]),
    "byte-order mark": (b"\xef\xbb\xbfid,name,day\n1,a,\n", [(1, "a", None)]),
    "swapped columns": (b"day,ID,name\n2026-01-02,1,a\n", [(1, "a", "2026-01-02")]),
    "missing nullable columns": (b"id\n1\n", [(1, None, None)]),
    "header only": (b"id,name,day\n", []),
    "header only, unended": (b"id,name,day", []),
    "quotes and newlines": (b'id,name\n1,"a ""b""\nc"\n', [(1, 'a "b"\nc', None)]),
    "quoted header": (b'"id","name"\n1,a\n', [(1, "a", None)]),
    "empty string is not null": (b'id,name\n1,""\n', [(1, "", None)]),
    "a backslash and a point": (b"name,id\n\\.,1\n", [(1, "\\.", None)]),
    "unicode": ("id,name\n1,žluťoučký\n".encode(), [(1, "žluťoučký", None)]),
}


@pytest.mark.parametrize("name", GOOD_FILES)
async def test_good_file_is_loaded_as_written(road: Road, name: str) -> None:
    content, rows = GOOD_FILES[name]
    await road.contract()
    outcome = await road.append(content)
    assert isinstance(outcome, Loaded)
    assert outcome.rows == len(rows)
    assert road.rows() == rows


PACKED = {
    "x.csv.gz": gzip.compress(b"id,name\n1,a\n") + gzip.compress(b"2,b\n"),
    "x.csv.zst": zstandard.compress(b"id,name\n1,a\n2,b\n"),
    "x.csv.bz2": bz2.compress(b"id,name\n1,a\n2,b\n"),
    "x.csv.xz": lzma.compress(b"id,name\n1,a\n2,b\n"),
    "packed, and not called so.csv": gzip.compress(b"id,name\n1,a\n2,b\n"),
}


@pytest.mark.parametrize("name", PACKED)
async def test_packed_file_is_loaded(road: Road, name: str) -> None:
    await road.contract()
    outcome = await road.load(f"dev/append/users/{name}", PACKED[name])
    assert isinstance(outcome, Loaded)
    assert (outcome.rows, outcome.rows_removed, outcome.aside.rows) == (2, 0, 0)
    assert road.rows() == [(1, "a", None), (2, "b", None)]


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1", "cp1252"])
async def test_file_in_a_declared_encoding_is_loaded(road: Road, encoding: str) -> None:
    await road.contract(format={"encoding": encoding})
    outcome = await road.append("id,name\n1,Jürgen\n".encode(encoding))
    assert isinstance(outcome, Loaded)
    assert road.rows() == [(1, "Jürgen", None)]


async def test_bad_rows_of_another_encoding_are_named_in_their_characters(road: Road) -> None:
    await road.contract(format={"encoding": "cp1252"})
    outcome = await road.append("id,name\n1,a\nfünf,b\n".encode("cp1252"))
    assert isinstance(outcome, Rejected)
    assert [(row.line, row.value) for row in outcome.reason.bad_rows] == [(3, "fünf")]


async def test_bad_rows_are_named_with_line_column_value_and_reason(road: Road) -> None:
    await road.contract()
    content = (
        'id,name,day\n1,a,2026-01-02\n,b,\n3,much too long,2026-13-01\n4,"x\ny",soon\n5,e\n6,f,,\n'
    )
    outcome = await road.append(content)
    assert bad(outcome) == [
        (3, "id", None),
        (4, "name", "much too long"),
        (4, "day", "2026-13-01"),
        (5, "day", "soon"),
        (7, None, None),
        (8, None, None),
    ]
    assert road.rows() == []


async def test_no_more_than_ten_bad_rows_are_told(road: Road) -> None:
    await road.contract()
    outcome = await road.append("id\n" + "x\n" * 5000)
    assert [line for line, _, _ in bad(outcome)] == list(range(2, 12))


async def test_latin_1_is_rejected_with_its_byte_position(road: Road) -> None:
    await road.contract()
    content = "id,name\n1,a\n2,caf\u00e9\n".encode("latin-1")
    outcome = await road.append(content)
    assert bad(outcome) == [(3, "name", "0xe9")]
    assert isinstance(outcome, Rejected)
    assert f"byte position {content.index(0xE9)}" in outcome.reason.message


async def test_unclosed_quote_is_rejected(road: Road) -> None:
    await road.contract()
    outcome = await road.append('id,name\n1,"a\n2,b\n3,c\n')
    assert isinstance(outcome, Rejected)
    assert outcome.reason.code == "bad_rows"
    assert road.rows() == []


REFUSED_FILES = {
    "unknown columns": (b"id,nmae\n1,a\n", "header_mismatch", "'nmae'"),
    "required column missing": (b"name\na\n", "header_mismatch", "'id'"),
    "column twice": (b"id,ID\n1,2\n", "header_mismatch", "'id'"),
    "only blank": (b"\n", "file_empty", "no header"),
    "only a mark": (b"\xef\xbb\xbf", "file_empty", "no header"),
    "half a UTF-16": ("id,name\n1,a\n".encode("utf-16") + b"\x00", "bad_rows", "not UTF-16"),
}


@pytest.mark.parametrize("name", REFUSED_FILES)
async def test_file_with_a_bad_header_is_rejected(road: Road, name: str) -> None:
    content, code, told = REFUSED_FILES[name]
    await road.contract()
    outcome = await road.append(content)
    assert isinstance(outcome, Rejected)
    assert outcome.reason.code == code
    assert told in outcome.reason.message


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"\0\1\2 no text", "file_not_packed"),
        (gzip.compress(b"id\n" + b"1\n" * 9, mtime=0)[:-9], "file_truncated"),
    ],
)
async def test_packed_file_that_is_not_whole_is_rejected(
    road: Road, content: bytes, code: str
) -> None:
    await road.contract()
    outcome = await road.load("dev/append/users/x.csv.gz", content)
    assert isinstance(outcome, Rejected)
    assert outcome.reason.code == code
    assert road.rows() == []


BAD_CONTRACTS = {
    "not json": b"columns: [id]",
    "not an object": b"[1, 2]",
    "unknown type": b'{"columns": [{"name": "a", "type": "strange"}]}',
    "injection": rb'{"columns": [{"name": "\"; drop table x; --", "type": "int"}]}',
    "a column twice": b'{"columns": [{"name": "a", "type": "int"}, {"name": "A", "type": "int"}]}',
    "deep": b"[" * 100_000,
    "no columns": b"{}",
}


@pytest.mark.parametrize("name", BAD_CONTRACTS)
async def test_bad_contract_is_rejected(road: Road, name: str) -> None:
    outcome = await road.load("dev/schema/users/c.json", BAD_CONTRACTS[name])
    assert isinstance(outcome, Rejected)
    assert outcome.reason.code == "contract_invalid"
    assert road.scalar("select to_regclass('dev.users') is null")


async def test_contract_adds_nullable_columns_and_refuses_the_rest(road: Road) -> None:
    await road.contract()
    wider = [*CONTRACT["columns"], {"name": "note", "type": "text"}]
    applied = await road.contract(columns=wider)
    assert applied == Applied(("column note text added",))
    refused = await road.contract(columns=CONTRACT["columns"][:1])
    assert isinstance(refused, Rejected)
    assert "column 'note' is gone" in refused.reason.message


async def test_final_contract_refuses_every_other(road: Road) -> None:
    await road.contract(allowed_operations=["append"])
    refused = await road.contract()
    assert isinstance(refused, Rejected)
    assert refused.reason.code == "contract_change_refused"


async def test_operation_that_the_contract_does_not_allow_is_rejected(road: Road) -> None:
    await road.contract(allowed_actions=["append"])
    outcome = await road.truncate("id\n1\n")
    assert isinstance(outcome, Rejected)
    assert outcome.reason.code == "operation_not_allowed"


async def test_data_waits_for_its_contract_and_is_rejected_after_the_limit(road: Road) -> None:
    drop = road.land("dev/append/users/x.csv", "id\n1\n")
    with pytest.raises(TransientError) as waiting:
        await road.loading.load(drop, attempt=1)
    assert waiting.value.reason.code == "contract_missing"
    await road.contract()
    assert isinstance(await road.loading.load(drop, attempt=2), Loaded)
    late = road.land("dev/append/others/x.csv", "id\n1\n")
    outcome = await road.loading.load(late, attempt=100)
    assert isinstance(outcome, Rejected)
    assert outcome.reason.code == "contract_missing"


async def test_the_same_drop_many_times_at_once_is_loaded_once(road: Road) -> None:
    await road.contract()
    drop = road.land("dev/append/users/x.csv", "id\n" + "1\n" * 1000)
    outcomes = await asyncio.gather(*(road.loading.load(drop, attempt=n) for n in range(1, 9)))
    assert all(isinstance(outcome, Loaded) and outcome.rows == 1000 for outcome in outcomes)
    assert sum(not outcome.repeated for outcome in outcomes) == 1
    assert len(road.rows()) == 1000


async def test_rejection_is_remembered(road: Road) -> None:
    await road.contract()
    drop = road.land("dev/append/users/x.csv", "id\nx\n")
    first = await road.loading.load(drop, attempt=1)
    again = await road.loading.load(drop, attempt=2)
    assert isinstance(first, Rejected)
    assert again == Rejected(first.reason, repeated=True)


async def test_truncate_replaces_the_content(road: Road) -> None:
    await road.contract()
    await road.append("id\n1\n")
    await road.truncate("id\n2\n")
    await road.append("id\n3\n")
    assert [row[0] for row in road.rows()] == [2, 3]


async def test_drop_that_a_truncate_has_overtaken_is_superseded(road: Road) -> None:
    await road.contract()
    truncate = road.land("dev/truncate/users/x.csv", "id\n2\n", at=50)
    await road.loading.load(truncate, attempt=1)
    assert await road.append("id\n1\n", at=40) == Superseded(truncate.drop_id)
    assert await road.truncate("id\n9\n", at=45) == Superseded(truncate.drop_id)
    assert [row[0] for row in road.rows()] == [2]


async def test_late_truncate_removes_only_earlier_rows(road: Road) -> None:
    await road.contract()
    await road.append("id\n1\n", at=10)
    await road.append("id\n3\n", at=30)
    await road.truncate("id\n2\n", at=20)
    assert [row[0] for row in road.rows()] == [2, 3]


async def test_failed_truncate_leaves_the_content(road: Road) -> None:
    await road.contract()
    await road.append("id\n1\n")
    assert isinstance(await road.truncate("id\n2\nx\n"), Rejected)
    assert [row[0] for row in road.rows()] == [1]


async def test_every_row_names_its_drop(road: Road) -> None:
    await road.contract()
    drop = road.land("dev/append/users/x.csv", "id\n1\n")
    await road.loading.load(drop, attempt=1)
    assert road.scalar("select _drop_id from dev.users") == drop.drop_id


async def test_table_that_was_there_is_taken_over_with_its_rows(road: Road) -> None:
    with psycopg.connect(road.dsn) as connection:
        connection.execute("create schema dev")
        connection.execute(
            "create table dev.users (id bigint not null, name varchar(10), day date)"
        )
        connection.execute("insert into dev.users values (7)")
    await road.contract()
    await road.append("id\n1\n")
    assert [row[0] for row in road.rows()] == [1, 7]
    await road.truncate("id\n2\n")
    assert [row[0] for row in road.rows()] == [2]


async def test_rows_written_by_hand_have_no_drop(road: Road) -> None:
    await road.contract()
    with psycopg.connect(road.dsn) as connection:
        connection.execute("insert into dev.users (id) values (1)")
    assert road.scalar("select _drop_id is null from dev.users")


async def test_both_versions_of_an_overwritten_key_are_loaded(road: Road) -> None:
    await road.contract()
    first = road.land("dev/append/users/same.csv", "id\n1\n")
    second = road.land("dev/append/users/same.csv", "id\n2\n")
    for drop in (second, first):
        assert isinstance(await road.loading.load(drop, attempt=1), Loaded)
    assert [row[0] for row in road.rows()] == [1, 2]


async def test_version_id_names_the_version_that_is_read(road: Road) -> None:
    await road.contract()
    drop = road.land("dev/append/users/same.csv", "id\n1\n")
    versions = road.aws.clients.s3.list_object_versions(Bucket=drop.bucket, Prefix=drop.key)
    road.land("dev/append/users/same.csv", "id\n2\n")
    named = drop.model_copy(update={"version_id": versions["Versions"][0]["VersionId"]})
    await road.loading.load(named, attempt=1)
    assert [row[0] for row in road.rows()] == [1]


async def test_object_deleted_before_it_is_read_is_still_loaded_from_its_version(
    road: Road,
) -> None:
    await road.contract()
    drop = road.land("dev/append/users/x.csv", "id\n1\n")
    road.aws.clients.s3.delete_object(Bucket=drop.bucket, Key=drop.key)
    assert isinstance(await road.loading.load(drop, attempt=1), Loaded)


async def test_object_whose_version_is_gone_is_rejected(road: Road) -> None:
    await road.contract()
    drop = road.land("dev/append/users/x.csv", "id\n1\n")
    s3 = road.aws.clients.s3
    for version in s3.list_object_versions(Bucket=drop.bucket, Prefix=drop.key)["Versions"]:
        s3.delete_object(Bucket=drop.bucket, Key=drop.key, VersionId=version["VersionId"])
    outcome = await road.loading.load(drop, attempt=1)
    assert isinstance(outcome, Rejected)
    assert outcome.reason.code == "object_missing"


async def test_locked_table_asks_for_another_try(road: Road) -> None:
    await road.contract()
    drop = road.land("dev/append/users/x.csv", "id\n1\n")
    with psycopg.connect(road.dsn) as other:
        other.execute("lock table dev.users in access exclusive mode")
        async with PostgresWarehouse.open(
            WarehouseAccess(road.dsn), connections=2, lock_timeout_seconds=0.2
        ) as impatient:
            loading = Loading(road.files, impatient, contract_wait_seconds=900)
            with pytest.raises(TransientError, match="lock timeout"):
                await loading.load(drop, attempt=1)
    assert road.rows() == []


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1), (1, 3, 0, 2)])
async def test_content_does_not_depend_on_the_order_of_loading(
    road: Road, order: tuple[int, ...]
) -> None:
    await road.contract()
    drops = [
        road.land("dev/append/users/a.csv", "id\n1\n", at=10),
        road.land("dev/truncate/users/b.csv", "id\n2\n", at=20),
        road.land("dev/append/users/c.csv", "id\n3\n", at=30),
        road.land("dev/append/users/d.csv", "id\n4\n", at=40),
    ]
    for place in order:
        await road.loading.load(drops[place], attempt=1)
    assert [row[0] for row in road.rows()] == [2, 3, 4]


async def test_two_tables_of_a_new_database_at_once(road: Road) -> None:
    outcomes = await asyncio.gather(*(road.contract(f"fresh.t{number}") for number in range(6)))
    assert all(isinstance(outcome, Applied) for outcome in outcomes)
