"""What a contract's tests do to a drop, and what is told of them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from headrace_loader.loading import Loading
from headrace_loader.outcomes import Loaded, Outcome, Rejected
from headrace_loader.postgres import PostgresWarehouse
from headrace_loader.testing_rows import TestRules as Rules
from headrace_loader.testing_rows import TestsTimedOutError as TimedOutError
from headrace_shared.drop import Drop
from headrace_shared.warehouse_access import WarehouseAccess
from tests.integration.test_quarantine import kept
from tests.road import Road

COLUMNS = [
    {"name": "id", "type": "bigint"},
    {"name": "name", "type": "text"},
    {"name": "qty", "type": "integer"},
]
TESTS: list[dict[str, Any]] = [{"not_null": "name"}, {"range": {"column": "qty", "min": 0}}]


async def land(road: Road, body: str, file: str = "a.csv") -> tuple[Drop, Outcome]:
    drop = road.land(f"dev/append/users/{road.seconds}-{file}", body)
    return drop, await road.loading.load(drop, attempt=1)


def ids(road: Road) -> list[int]:
    with psycopg.connect(road.dsn) as connection:
        return [row[0] for row in connection.execute("select id from dev.users order by id")]


async def test_passing_drop_is_loaded_and_its_tests_told(road: Road) -> None:
    await road.contract(columns=COLUMNS, tests=TESTS)
    drop, outcome = await land(road, "id,name,qty\n1,a,1\n2,b,\n")
    assert isinstance(outcome, Loaded), outcome
    assert ids(road) == [1, 2]
    assert [(one.label, one.passed) for one in outcome.aside.tests] == [
        ("not_null(name)", True),
        ("range(qty)", True),
    ]
    again = await road.loading.load(drop, attempt=2)
    assert isinstance(again, Loaded)
    assert again.aside == outcome.aside


async def test_hard_failure_rejects_the_drop_and_tells_each_row(road: Road) -> None:
    await road.contract(columns=COLUMNS, tests=TESTS)
    drop, outcome = await land(road, "id,name,qty\n1,a,1\n2,,-5\n3,c,-1\n")
    assert isinstance(outcome, Rejected), outcome
    assert outcome.reason.code == "tests_failed"
    told = [(row.line, row.column, row.value, row.raw) for row in outcome.reason.bad_rows]
    assert told == [
        (3, "name", None, "2,,-5"),
        (3, "qty", "-5", "2,,-5"),
        (4, "qty", "-1", "3,c,-1"),
    ]
    assert [one.failing_rows for one in outcome.reason.tests] == [1, 2]
    assert ids(road) == []
    about, _ = kept(road, drop)
    assert about["set_aside"] is False


async def test_soft_failure_sets_the_rows_aside_and_loads_the_others(road: Road) -> None:
    await road.contract(
        columns=COLUMNS,
        tests=TESTS,
        hard_testing=False,
        on_bad_rows={"mode": "quarantine"},
    )
    body = "id,name,qty\nx,bad id,1\n1,a,1\n2,,-5\ny,bad id,1\n3,c,-1\n4,d,4\n5,e\n"
    drop, outcome = await land(road, body)
    assert isinstance(outcome, Loaded), outcome
    assert ids(road) == [1, 4]
    assert (outcome.rows, outcome.aside.rows) == (2, 5)
    _, rows = kept(road, drop)
    found = [(row["line"], [f["code"] for f in row["faults"]]) for row in rows]
    assert found == [
        (2, ["type"]),
        (4, ["test", "test"]),
        (5, ["type"]),
        (6, ["test"]),
        (8, ["too_few_fields"]),
    ]


async def test_warning_changes_nothing_and_is_told(road: Road) -> None:
    tests = [{**one, "severity": "warn"} for one in TESTS]
    await road.contract(columns=COLUMNS, tests=tests)
    _, outcome = await land(road, "id,name,qty\n1,,-1\n")
    assert isinstance(outcome, Loaded), outcome
    assert ids(road) == [1]
    assert [(one.passed, one.severity) for one in outcome.aside.tests] == [(False, "warn")] * 2


async def test_tests_of_the_whole_drop(road: Road) -> None:
    tests = [{"row_count": {"min": 2}}]
    await road.contract(columns=COLUMNS, tests=tests)
    _, outcome = await land(road, "id\n1\n")
    assert isinstance(outcome, Rejected)
    assert outcome.reason.bad_row_count == 0
    await road.contract(columns=COLUMNS, tests=tests, hard_testing=False)
    _, outcome = await land(road, "id\n1\n")
    assert isinstance(outcome, Loaded)
    assert [one.passed for one in outcome.aside.tests] == [False]


async def test_select_of_a_user_names_the_rows(road: Road) -> None:
    tests = [{"sql": "select * from {{rows}} where qty > 100 % 30", "name": "small"}]
    await road.contract(columns=COLUMNS, tests=tests, hard_testing=False)
    _, outcome = await land(road, "id,name,qty\n1,a,1\n2,b,50\n")
    assert isinstance(outcome, Loaded), outcome
    assert ids(road) == [1]
    assert [row.raw for row in outcome.aside.first] == ["2,b,50"]


@pytest.mark.parametrize("action", ["truncate", "upsert"])
async def test_other_actions_are_tested_too(road: Road, action: str) -> None:
    await road.contract(
        columns=COLUMNS, tests=[{"unique": "id", "within": "table"}], primary_key=["id"]
    )
    await land(road, "id,name,qty\n1,a,1\n2,b,2\n")
    drop = road.land(f"dev/{action}/users/x.csv", "id,name,qty\n1,new,1\n")
    outcome = await road.loading.load(drop, attempt=1)
    assert isinstance(outcome, Loaded), outcome
    again = road.land(f"dev/{action}/users/y.csv", "id,name,qty\n3,new,1\n3,new,1\n")
    outcome = await road.loading.load(again, attempt=1)
    assert isinstance(outcome, Rejected), outcome
    assert ids(road) == ([1] if action == "truncate" else [1, 2])


async def test_rows_of_json_are_named_too(road: Road) -> None:
    columns: list[dict[str, Any]] = [
        {"name": "id", "type": "bigint"},
        {"name": "sku", "type": "text"},
    ]
    await road.contract(
        columns=columns,
        format={"type": "json", "explode": "$.lines"},
        tests=[{"not_null": "sku"}],
        hard_testing=False,
    )
    body = [
        {"id": 1, "lines": [{"sku": "a"}, {"sku": None}]},
        {"id": 2, "lines": [{"sku": "b"}]},
        {"id": 3, "lines": [{}]},
    ]
    _, outcome = await land(road, "\n".join(map(json.dumps, body)), "a.json")
    assert isinstance(outcome, Loaded), outcome
    assert ids(road) == [2]
    assert [row.record for row in outcome.aside.first] == [1, 3]


async def test_test_of_a_column_that_is_not_there_is_refused(road: Road) -> None:
    outcome = await road.contract(columns=COLUMNS, tests=[{"not_null": "nome"}])
    assert isinstance(outcome, Rejected)
    assert "'nome' is not one of the columns" in outcome.reason.message


async def test_bad_rows_reject_before_any_test_does(road: Road) -> None:
    await road.contract(columns=COLUMNS, tests=TESTS)
    _, outcome = await land(road, "id,name,qty\nx,a,1\n2,,-5\n")
    assert isinstance(outcome, Rejected)
    assert outcome.reason.code == "bad_rows"


async def test_rejecting_test_keeps_the_bad_rows_too(road: Road) -> None:
    await road.contract(columns=COLUMNS, tests=TESTS, on_bad_rows={"mode": "quarantine"})
    drop, outcome = await land(road, "id,name,qty\nx,a,1\n2,,5\n")
    assert isinstance(outcome, Rejected)
    assert outcome.reason.code == "tests_failed"
    _, rows = kept(road, drop)
    assert [(row["line"], row["faults"][0]["code"]) for row in rows] == [(2, "type"), (3, "test")]


@asynccontextmanager
async def ruled(road: Road, rules: Rules) -> AsyncIterator[Road]:
    """The same road, with other rules for tests."""
    access = WarehouseAccess(road.dsn)
    async with PostgresWarehouse.open(
        access, connections=3, lock_timeout_seconds=5, rules=rules
    ) as warehouse:
        yield replace(road, loading=Loading(road.files, warehouse, contract_wait_seconds=0))


SLOW: dict[str, Any] = {
    "sql": "select * from {{rows}} where 0 = (select count(*) from "
    + ", ".join(f"{{{{rows}}}} as r{n}" for n in range(9))
    + ")",
    "name": "slow",
}
SIXTY = "id\n" + "".join(f"{n}\n" for n in range(60))


async def test_drop_whose_tests_take_too_long_is_tried_again_and_then_rejected(road: Road) -> None:
    async with ruled(road, Rules(timeout_seconds=0.3)) as slow:
        await slow.contract(columns=COLUMNS, tests=[SLOW])
        drop = slow.land("dev/append/users/slow.csv", SIXTY)
        for attempt in (1, 2):
            with pytest.raises(TimedOutError) as raised:
                await slow.loading.load(drop, attempt=attempt)
            assert raised.value.table == "dev.users"
        outcome = await slow.loading.load(drop, attempt=3)
    assert isinstance(outcome, Rejected), outcome
    assert outcome.reason.code == "tests_timed_out"
    assert "0.3 seconds" in outcome.reason.message
    assert "HEADRACE_TESTS_TIMEOUT_SECONDS" in outcome.reason.remedy
    assert ids(road) == []


async def test_warning_that_takes_too_long_holds_nothing_up(road: Road) -> None:
    async with ruled(road, Rules(timeout_seconds=0.3)) as slow:
        await slow.contract(columns=COLUMNS, tests=[{**SLOW, "severity": "warn"}])
        _, outcome = await land(slow, SIXTY)
    assert isinstance(outcome, Loaded), outcome
    [result] = outcome.aside.tests
    assert not result.passed
    assert result.message.startswith("could not be run (SQLSTATE 57014): the time")


async def test_contract_with_sql_tests_is_rejected_where_they_are_off(road: Road) -> None:
    select = {"sql": "select * from {{rows}} where qty < 0", "name": "no debts"}
    await road.contract(columns=COLUMNS, tests=[select])
    async with ruled(road, Rules(without_sql=frozenset({"dev"}))) as strict:
        outcome = await strict.contract(columns=COLUMNS, tests=[select])
        assert isinstance(outcome, Rejected), outcome
        assert outcome.reason.code == "contract_invalid"
        assert "no debts" in outcome.reason.message
        assert "HEADRACE_SQL_TESTS_OFF" in outcome.reason.message
        # The contract of before the setting is still in force; its test is not run.
        _, outcome = await land(strict, "id,name,qty\n1,a,1\n")
        assert isinstance(outcome, Rejected), outcome
        assert "HEADRACE_SQL_TESTS_OFF" in outcome.reason.message


async def test_contract_that_refers_to_another_database_is_rejected(road: Road) -> None:
    test = {"references": {"column": "id", "table": "alpha.vault", "to": "v"}}
    outcome = await road.contract(columns=COLUMNS, tests=[test])
    assert isinstance(outcome, Rejected), outcome
    assert outcome.reason.code == "contract_invalid"
    assert "a table of another database" in outcome.reason.message


async def test_failing_test_reports_no_value_of_what_it_looked_at(road: Road) -> None:
    await road.contract("alpha.vault", columns=[{"name": "v", "type": "text"}])
    await road.load("alpha/append/vault/a.csv", "v\nALPHAS-SECRET\n")
    casts = (
        "select *, cast((select string_agg(v, ',') from alpha.vault) as int) from {{rows}}",
        "select *, cast(name as int) from {{rows}}",
    )
    tests = [{"sql": text, "name": f"t{n}", "severity": "warn"} for n, text in enumerate(casts)]
    await road.contract("beta.users", columns=COLUMNS, tests=tests)
    outcome = await road.load("beta/append/users/a.csv", "id,name,qty\n1,BETAS-SECRET,1\n")
    assert isinstance(outcome, Loaded), outcome
    states = [one.message.partition(":")[0] for one in outcome.aside.tests]
    assert states == ["could not be run (SQLSTATE 42501)", "could not be run (SQLSTATE 22P02)"]
    assert "SECRET" not in repr(outcome)
