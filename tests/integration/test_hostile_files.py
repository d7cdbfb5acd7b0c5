"""Files that mean harm, or are only out of all measure: each is rejected with a reason, and the
loader goes on."""

from __future__ import annotations

import gzip
import json

import psycopg
import pytest

from headrace_loader import transaction
from headrace_loader.outcomes import Loaded, Outcome, Rejected
from headrace_loader.sifting import copying
from tests.road import Road

MEGABYTE = 1024 * 1024
COLUMNS = [{"name": "id", "type": "bigint"}, {"name": "name", "type": "text"}]


async def load(road: Road, body: bytes | str, file: str = "a.csv") -> Outcome:
    return await road.load(f"dev/append/users/{road.seconds}-{file}", body)


async def still_loads(road: Road) -> bool:
    return isinstance(await load(road, "id,name\n1,a\n"), Loaded)


def code(outcome: Outcome) -> str:
    assert isinstance(outcome, Rejected), outcome
    return outcome.reason.code


@pytest.mark.parametrize("mode", ["reject", "quarantine"])
async def test_ten_thousand_columns(road: Road, mode: str) -> None:
    await road.contract(columns=COLUMNS, on_bad_rows={"mode": mode})
    header = ",".join(f"c{number}" for number in range(10_000))
    outcome = await load(road, f"{header}\n{header}\n")
    assert code(outcome) == "header_mismatch"
    assert isinstance(outcome, Rejected)
    assert len(outcome.reason.message) < 2_000
    wide = await load(road, f"id,name\n{header}\n1,a\n")
    if mode == "reject":
        assert code(wide) == "bad_rows"
    else:
        assert isinstance(wide, Loaded)
        assert [row.code for row in wide.aside.first] == ["too_many_fields"]
    assert await still_loads(road)


async def test_contract_of_ten_thousand_columns(road: Road) -> None:
    columns = [{"name": f"c{number}", "type": "text"} for number in range(10_000)]
    assert code(await road.contract(columns=columns)) == "contract_invalid"


@pytest.mark.parametrize("mode", ["reject", "quarantine"])
@pytest.mark.parametrize("ended", [True, False])
async def test_line_out_of_all_measure(road: Road, mode: str, ended: bool) -> None:
    await road.contract(columns=COLUMNS, on_bad_rows={"mode": mode})
    line = b"2," + b"x" * (17 * MEGABYTE) + (b"\n3,c\n" if ended else b"")
    assert code(await load(road, b"id,name\n1,a\n" + line)) == "line_too_long"
    assert await still_loads(road)


async def test_header_out_of_all_measure(road: Road) -> None:
    await road.contract(columns=COLUMNS)
    assert code(await load(road, b"x" * (2 * MEGABYTE))) == "header_unreadable"


async def test_quote_that_swallows_megabytes(road: Road) -> None:
    await road.contract(columns=COLUMNS, on_bad_rows={"mode": "quarantine"})
    rows = "".join(f"{number},name {number}\n" for number in range(400_000))
    outcome = await load(road, f'id,name\n-1,"never closed\n{rows}')
    assert isinstance(outcome, Loaded), outcome
    assert (outcome.rows, outcome.aside.rows) == (400_000, 1)
    with psycopg.connect(road.dsn) as connection:
        least = connection.execute("select min(id), max(id) from dev.users").fetchone()
    assert least == (0, 399_999)


async def test_every_row_bad_ends_at_the_limit(road: Road) -> None:
    await road.contract(columns=COLUMNS)
    outcome = await load(road, "id,name\n" + "x,y\n" * 200_000)
    assert code(outcome) == "bad_rows"
    assert isinstance(outcome, Rejected)
    assert "more than 10," in outcome.reason.message
    assert await still_loads(road)


@pytest.mark.parametrize("body", ["[" * 300_000, '{"id":' * 300_000, '{"id": 1, "name": "'])
async def test_json_that_is_nested_without_end(road: Road, body: str) -> None:
    await road.contract(columns=COLUMNS, format={"type": "json"})
    assert code(await load(road, body, "a.json")) in ("bad_rows", "json_malformed")
    assert await still_loads_json(road)


async def test_json_record_out_of_all_measure(road: Road) -> None:
    await road.contract(columns=COLUMNS, format={"type": "json"})
    for start in ("", "["):
        body = start + json.dumps({"id": 1, "name": "x" * 17 * MEGABYTE})
        assert code(await load(road, body, "a.json")) == "line_too_long"
    assert await still_loads_json(road)


async def still_loads_json(road: Road) -> bool:
    return isinstance(await load(road, '{"id": 1}', "b.json"), Loaded)


async def test_packed_rows_of_one_byte_again_and_again(road: Road) -> None:
    await road.contract(columns=COLUMNS, on_bad_rows={"mode": "quarantine"})
    bomb = gzip.compress(b"id,name\n" + b"\0" * (100 * MEGABYTE))
    assert code(await load(road, bomb, "a.csv.gz")) in ("unpacks_to_too_much", "line_too_long")
    assert await still_loads(road)


@pytest.mark.parametrize("mode", ["reject", "quarantine"])
@pytest.mark.parametrize("action", ["append", "truncate"])
async def test_end_marker_of_servers_before_18_cuts_no_file_off(
    road: Road, monkeypatch: pytest.MonkeyPatch, mode: str, action: str
) -> None:
    for module in (transaction, copying):
        monkeypatch.setattr(module, "END_MARKER_GONE", 990_000)
    await road.contract(columns=[COLUMNS[1]], on_bad_rows={"mode": mode})
    outcome = await road.load(f"dev/{action}/users/a.csv", "name\na\n\\.\nb\n")
    assert code(outcome) == "end_marker"
    assert road.scalar("select count(*) from dev.users") == 0
