"""Rules of a table that its contract does not have: each row that breaks one is a bad row."""

from __future__ import annotations

import asyncio
from typing import Any, LiteralString

import pytest

from headrace_loader.outcomes import Loaded, Rejected
from headrace_loader.sqlstate import TableRefusedError
from tests.hand_made import COLUMNS, QUARANTINE, bad_rows, by_hand, rows
from tests.road import Road

RAISES: LiteralString = """
    create function dev.refuse() returns trigger language plpgsql as $$
    begin if new.id < 0 then raise exception 'no negative ids' {using}; end if; return new; end $$
    """
TABLE: LiteralString = "create table dev.users (id int, t text)"
TRIGGER: LiteralString = (
    "create trigger refuse before insert on dev.users for each row execute function dev.refuse()"
)
LATE_TRIGGER: LiteralString = (
    "create constraint trigger refuse after insert on dev.users deferrable initially deferred "
    "for each row execute function dev.refuse()"
)
PARENT: tuple[LiteralString, ...] = (
    "create table dev.parents (id int primary key)",
    "insert into dev.parents select generate_series(0, 100)",
)
REFERS: LiteralString = "constraint known foreign key (id) references dev.parents"
LATER: LiteralString = " deferrable initially deferred"
RULES: dict[str, tuple[tuple[LiteralString, ...], str]] = {
    "check": (
        ("create table dev.users (id int constraint small check (id >= 0), t text)",),
        "small",
    ),
    "foreign key": (
        (
            *PARENT,
            "create table dev.users (id int constraint known references dev.parents, t text)",
        ),
        "known",
    ),
    "deferred foreign key": (
        (
            *PARENT,
            "create table dev.users (id int, t text, " + REFERS + LATER + ")",
        ),
        "known",
    ),
    "partition": (
        (
            "create table dev.users (id int, t text) partition by range (id)",
            "create table dev.users_1 partition of dev.users for values from (0) to (100)",
        ),
        "no partition",
    ),
    "trigger": ((TABLE, RAISES.replace("{using}", ""), TRIGGER), "no negative ids"),
    "trigger with a state of its own": (
        (TABLE, RAISES.replace("{using}", "using errcode = 'Q7X01'"), TRIGGER),
        "no negative ids",
    ),
    "trigger with a state of Postgres": (
        (TABLE, RAISES.replace("{using}", "using errcode = '02000'"), TRIGGER),
        "no negative ids",
    ),
    "deferred trigger": ((TABLE, RAISES.replace("{using}", ""), LATE_TRIGGER), "no negative ids"),
}
GOOD = [(1, "a"), (3, "c"), (5, "e")]
FILE = "id,t\n1,a\n-2,b\n3,c\n-4,d\n5,e\n"


@pytest.mark.parametrize(("made", "named"), RULES.values(), ids=RULES)
async def test_rows_that_the_table_refuses_are_quarantined_one_by_one(
    road: Road, made: tuple[LiteralString, ...], named: str
) -> None:
    by_hand(road, *made)
    await road.contract(columns=COLUMNS, on_bad_rows=QUARANTINE)
    loaded = await road.append(FILE)
    assert isinstance(loaded, Loaded), loaded
    assert (loaded.rows, loaded.aside.rows) == (3, 2)
    assert bad_rows(loaded) == [(3, "refused_by_table"), (5, "refused_by_table")]
    assert all(named in row.reason for row in loaded.aside.first)
    assert [row.raw for row in loaded.aside.first] == ["-2,b", "-4,d"]
    assert rows(road) == GOOD


@pytest.mark.parametrize(("made", "named"), RULES.values(), ids=RULES)
async def test_rows_that_the_table_refuses_reject_the_drop_and_are_named(
    road: Road, made: tuple[LiteralString, ...], named: str
) -> None:
    by_hand(road, *made)
    await road.contract(columns=COLUMNS)
    rejected = await road.append(FILE)
    assert isinstance(rejected, Rejected), rejected
    assert rejected.reason.code == "bad_rows"
    assert "line 3" in rejected.reason.message
    assert named in rejected.reason.message
    assert bad_rows(rejected) == [(3, "refused_by_table"), (5, "refused_by_table")]
    assert rows(road) == []


LIMITS = {
    "max_rows": ({"mode": "quarantine", "max_rows": 1}, "too_many_bad_rows", "more than 1"),
    "max_ratio": (
        {"mode": "quarantine", "max_ratio": 0.2},
        "too_many_bad_rows",
        "2 bad rows among 5",
    ),
}


@pytest.mark.parametrize(("policy", "code", "message"), LIMITS.values(), ids=LIMITS)
async def test_refused_rows_count_for_the_limits_of_bad_rows(
    road: Road, policy: dict[str, Any], code: str, message: str
) -> None:
    by_hand(road, *RULES["check"][0])
    await road.contract(columns=COLUMNS, on_bad_rows=policy)
    rejected = await road.append(FILE)
    assert isinstance(rejected, Rejected), rejected
    assert rejected.reason.code == "too_many_bad_rows"
    assert message in rejected.reason.message
    assert rows(road) == []


async def test_bad_values_and_refused_rows_are_found_in_one_file(road: Road) -> None:
    by_hand(road, *RULES["foreign key"][0])
    await road.contract(columns=COLUMNS, on_bad_rows=QUARANTINE)
    loaded = await road.append("id,t\n1,a\nx,b\n-2,c\n3,d\n4\n")
    assert isinstance(loaded, Loaded), loaded
    assert bad_rows(loaded) == [(3, "type"), (4, "refused_by_table"), (6, "too_few_fields")]
    assert rows(road) == [(1, "a"), (3, "d")]


async def test_json_records_that_the_table_refuses_are_quarantined(road: Road) -> None:
    by_hand(road, *RULES["check"][0])
    await road.contract(columns=COLUMNS, on_bad_rows=QUARANTINE, format={"type": "json"})
    loaded = await road.load("dev/append/users/a.json", '{"id": 1, "t": "a"}\n{"id": -2}\n')
    assert isinstance(loaded, Loaded), loaded
    assert [(row.record, row.code) for row in loaded.aside.first] == [(2, "refused_by_table")]
    assert rows(road) == [(1, "a")]


async def test_of_rows_that_exclude_each_other_the_first_one_stays(road: Road) -> None:
    by_hand(road, "create table dev.users (id int constraint one_id unique, t text)")
    await road.contract(columns=COLUMNS, on_bad_rows=QUARANTINE)
    loaded = await road.append("id,t\n1,a\n2,b\n1,c\n3,d\n2,e\n")
    assert isinstance(loaded, Loaded), loaded
    assert bad_rows(loaded) == [(4, "refused_by_table"), (6, "refused_by_table")]
    assert "one_id" in loaded.aside.first[0].reason
    assert rows(road) == [(1, "a"), (2, "b"), (3, "d")]


async def test_row_may_refer_to_a_later_row_of_its_file(road: Road) -> None:
    by_hand(road, "create table dev.users (id int primary key, boss int references dev.users)")
    columns = [
        {"name": "id", "type": "integer", "nullable": False},
        {"name": "boss", "type": "integer"},
    ]
    await road.contract(columns=columns, on_bad_rows=QUARANTINE)
    loaded = await road.append("id,boss\n1,2\n2,3\n3,4\n4,\n5,99\n")
    assert isinstance(loaded, Loaded), loaded
    assert bad_rows(loaded) == [(6, "refused_by_table")]
    assert rows(road, "id, boss") == [(1, 2), (2, 3), (3, 4), (4, None)]


async def test_refused_row_of_an_upsert_leaves_the_row_that_it_would_replace(road: Road) -> None:
    by_hand(road, "create table dev.users (id int, t text constraint short check (length(t) < 3))")
    await road.contract(columns=COLUMNS, on_bad_rows=QUARANTINE, primary_key=["id"])
    await road.append("id,t\n1,a\n2,b\n")
    loaded = await road.load("dev/upsert/users/u.csv", "id,t\n1,new\n2,B\n2,longer\n3,c\n")
    assert isinstance(loaded, Loaded), loaded
    assert bad_rows(loaded) == [(2, "refused_by_table"), (4, "refused_by_table")]
    assert rows(road) == [(1, "a"), (2, "B"), (3, "c")]


async def test_refused_truncate_leaves_the_table(road: Road) -> None:
    by_hand(road, *RULES["check"][0])
    await road.contract(columns=COLUMNS)
    await road.append("id,t\n1,a\n")
    assert isinstance(await road.truncate("id,t\n2,b\n-3,c\n"), Rejected)
    assert rows(road) == [(1, "a")]


async def test_small_files_that_share_a_copy_are_each_judged_by_the_table(road: Road) -> None:
    by_hand(road, *RULES["deferred foreign key"][0])
    await road.contract(columns=COLUMNS)
    drops = [road.land(f"dev/append/users/{id_}.csv", f"id,t\n{id_},a\n") for id_ in (1, -2, 3)]
    outcomes = await asyncio.gather(*(road.loading.load(drop, attempt=1) for drop in drops))
    assert [type(one) for one in outcomes] == [Loaded, Rejected, Loaded]
    assert rows(road) == [(1, "a"), (3, "a")]


async def test_row_level_security_rejects_the_drop_with_a_remedy(road: Road) -> None:
    by_hand(road, "create table dev.users (id int, t text)")
    await road.contract(columns=COLUMNS, primary_key=["id"])
    by_hand(
        road,
        "alter table dev.users enable row level security",
        "alter table dev.users force row level security",
        "create policy own on dev.users using (id < 5)",
    )
    for action in ("append", "truncate", "upsert"):
        rejected = await road.load(f"dev/{action}/users/a.csv", "id,t\n1,a\n")
        assert isinstance(rejected, Rejected), rejected
        assert rejected.reason.code == "refused_by_table"
        assert "BYPASSRLS" in rejected.reason.remedy


async def test_table_that_others_refer_to_refuses_what_would_break_them(road: Road) -> None:
    by_hand(road, "create table dev.users (id int primary key, t text)")
    columns = [COLUMNS[0] | {"nullable": False}, COLUMNS[1]]
    await road.contract(columns=columns, primary_key=["id"])
    first = road.land("dev/append/users/first.csv", "id,t\n1,a\n2,b\n")
    await road.bring(first)
    by_hand(
        road,
        "create table dev.orders (user_id int constraint of_user references dev.users)",
        "insert into dev.orders values (1)",
    )
    rejected = await road.truncate("id,t\n2,c\n")
    assert isinstance(rejected, Rejected), rejected
    assert rejected.reason.code == "refused_by_table"
    with pytest.raises(TableRefusedError, match="of_user"):
        await road.revert(first, 1_900_000_000_000)
    assert rows(road) == [(1, "a"), (2, "b")]
