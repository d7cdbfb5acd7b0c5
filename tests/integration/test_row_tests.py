"""The data tests on a real Postgres: exactly the rows that fail, each by its line number."""

from __future__ import annotations

from typing import Any

import pytest

from tests.staged_drop import DROP, EARLIER, StagedDrop, on

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("column", "values", "test", "failing", "message"),
    [
        ("email", ["a", None, "", None], {"not_null": "email"}, (2, 4), "2 rows: email is null"),
        ("email", ["a", "b"], {"not_null": "Email"}, (), "no row fails"),
        (
            "email",
            ["a", "b", None, "a", None, "A"],
            {"unique": "email"},
            (1, 4),
            "2 rows: email is not unique in the drop",
        ),
        ("email", ["a", "A", None, None], {"unique": "email"}, (), "no row fails"),
        (
            "email",
            ["a", "1", "true", "x", None, "A"],
            on("accepted_values", "email", values=["a", 1, True]),
            (4, 6),
            "2 rows: email is none of 'a', 1, true",
        ),
        ("id", [1, 2, 3, None], on("accepted_values", "id", values=[1, 3.0, "2"]), (), ""),
        (
            "share",
            [0.1, 0.2],
            on("accepted_values", "share", values=[0.1]),
            (2,),
            "1 row: share is none of 0.1",
        ),
        ("paid", [True, False, None], on("accepted_values", "paid", values=[True]), (2,), ""),
        ("price", ["1.50", "1.51"], on("accepted_values", "price", values=[1.5]), (2,), ""),
        ("id", [-5, -4, 10, 11, None], on("range", "id", min=-4, max=10), (1, 4), ""),
        ("id", [1, 2], on("range", "id", min=2), (1,), "1 row: id is below 2"),
        ("small", [1, 30_000], on("range", "small", max=100_000), (), ""),
        ("id", [1, 2**63 - 1], on("range", "id", max=10**30), (), ""),
        ("share", [0.1, 0.11], on("range", "share", max=0.1), (2,), "1 row: share is above 0.1"),
        ("price", ["0.1", "0.2", "NaN"], on("range", "price", min=0.15, max=1), (1, 3), ""),
        (
            "day",
            ["2026-01-01", "2025-12-31", None],
            on("range", "day", min="2026-01-01", max="2026-12-31"),
            (2,),
            "1 row: day is below 2026-01-01 or above 2026-12-31",
        ),
        (
            "email",
            ["", "ä", "äöü", "äöüß", None],
            on("length", "email", min=1, max=3),
            (1, 4),
            "2 rows: email has fewer than 1 or more than 3 characters",
        ),
        ("id", [9, 10, 100], on("length", "id", max=2), (3,), ""),
        (
            "email",
            ["a@b", "a", None, "it's @"],
            on("matches", "email", pattern="^[^@ ]+@"),
            (2, 4),
            "2 rows: email does not match ^[^@ ]+@",
        ),
        ("email", ["12", "x"], on("matches", "email", pattern=r"^\d{1,2}$"), (2,), ""),
        ("select", ["a", None], {"not_null": "select"}, (2,), "1 row: select is null"),
        ("order", ["a", "a"], {"unique": ["order"]}, (1, 2), ""),
        ("email", [f"{n:02}" for n in range(30)] * 2, {"unique": "email"}, tuple(range(1, 61)), ""),
    ],
)
async def test_exactly_the_rows_that_fail_are_told(
    drop: StagedDrop,
    column: str,
    values: list[Any],
    test: object,
    failing: tuple[int, ...],
    message: str,
) -> None:
    await drop.stage(column, *values)
    outcome = await drop.run(test)
    assert outcome.line_numbers == failing, outcome.message
    assert outcome.failing_rows == len(failing)
    assert outcome.passed == (not failing)
    assert outcome.separable
    assert message in outcome.message
    told = [(row.line_number, row.values) for row in outcome.sample]
    assert [line for line, _ in told] == list(failing[:10])


async def test_uniqueness_of_columns_together(drop: StagedDrop) -> None:
    await drop.stage("id, email", *[(1, "a"), (1, "b"), (1, "a"), (1, None), (1, None), (2, "a")])
    outcome = await drop.run({"unique": ["id", "email"]})
    assert outcome.line_numbers == (1, 3)
    assert outcome.message == "2 rows: id, email are not unique together in the drop"
    assert outcome.sample[0].values == ("1", "a")


async def test_uniqueness_in_the_table_leaves_the_drops_own_rows_out(
    drop: StagedDrop,
) -> None:
    await drop.have("email", "old", "own", None, drop=EARLIER.drop_id)
    await drop.execute("update dev.users set _drop_id = null where email = 'old'")
    await drop.have("email", "mine", drop=DROP.drop_id)
    await drop.stage("email", "new", "old", "mine", None, "twice", "twice", "own")
    assert (await drop.run({"unique": "email"})).line_numbers == (5, 6)
    outcome = await drop.run({"unique": "email", "within": "table"})
    assert outcome.line_numbers == (2, 5, 6, 7)
    assert outcome.failing_rows == 4
    assert outcome.message == "4 rows: email is not unique in the table"


async def test_rows_that_an_upsert_replaces_are_not_held_against_it(
    drop: StagedDrop,
) -> None:
    await drop.have("id, email", (1, "a"), (2, "b"), (None, "n"), drop=EARLIER.drop_id)
    await drop.stage("id, email", (1, "a"), (3, "b"), (None, "n"))
    test = {"unique": "email", "within": "table"}
    assert (await drop.run(test)).line_numbers == (1, 2, 3)
    assert (await drop.run(test, replaces=("id",))).line_numbers == (2,)


async def test_references_to_another_table(drop: StagedDrop) -> None:
    await drop.execute("create table dev.countries (code text, region text)")
    await drop.execute("insert into dev.countries values ('de', 'eu'), (null, 'eu')")
    await drop.stage("code", "de", "xx", None, "DE")
    test = on("references", "code", table="dev.countries", to="code")
    outcome = await drop.run(test)
    assert outcome.line_numbers == (2, 4)
    assert outcome.message == "2 rows: code is not in dev.countries (code)"
    await drop.execute("delete from staged where code <> 'de'")
    assert (await drop.run(test)).passed


async def test_references_looks_into_its_own_database_alone(drop: StagedDrop) -> None:
    await drop.execute("create schema alpha")
    await drop.execute("create table alpha.vault as select 'de' as code")
    await drop.stage("code", "de", "xx")
    for table in ("alpha.vault", "beta.none"):
        outcome = await drop.run(on("references", "code", table=table, to="code"))
        assert (outcome.passed, outcome.failing_rows) == (False, 0)
        assert "a table of another database" in outcome.message


async def test_references_leaves_no_right_on_the_table(drop: StagedDrop) -> None:
    await drop.execute("create table dev.countries as select 'de' as code, 'x' as note")
    await drop.stage("code", "de")
    assert (await drop.run(on("references", "code", table="dev.countries", to="code"))).passed
    rights = "select has_table_privilege('headrace_tests', 'dev.countries', 'select')"
    assert await drop.execute(rights) == [(False,)]


async def test_references_of_columns_together(drop: StagedDrop) -> None:
    await drop.execute("create table dev.places (code text, region text)")
    await drop.execute("insert into dev.places values ('de', 'eu'), ('us', 'am')")
    await drop.stage("code, email", ("de", "eu"), ("de", "am"), ("de", None))
    test = on("references", ["code", "email"], table="dev.places", to=["code", "region"])
    outcome = await drop.run(test)
    assert outcome.line_numbers == (2,)
    assert outcome.message == "1 row: code, email are not in dev.places (code, region)"


async def test_references_to_the_own_table_may_be_met_by_the_same_drop(
    drop: StagedDrop,
) -> None:
    await drop.have("id", 7, drop=EARLIER.drop_id)
    await drop.stage("id, small", (1, None), (2, 1), (3, 7), (4, 99))
    outcome = await drop.run(on("references", "small", table="dev.users", to="id"))
    assert outcome.line_numbers == (4,)


@pytest.mark.parametrize(
    ("limits", "passed", "message"),
    [
        ({"min": 2, "max": 2}, True, "the drop has 2 rows"),
        ({"min": 3}, False, "the drop has 2 rows, not at least 3"),
        ({"min": 0, "max": 1}, False, "the drop has 2 rows, not at least 0 and at most 1"),
    ],
)
async def test_row_count(
    drop: StagedDrop, limits: dict[str, int], passed: bool, message: str
) -> None:
    await drop.stage("email", "a", None)
    outcome = await drop.run({"row_count": limits})
    assert (outcome.passed, outcome.message) == (passed, message)
    assert (outcome.failing_rows, outcome.line_numbers) == (0, ())
    assert outcome.separable == passed


@pytest.mark.parametrize(
    ("column", "values", "passed", "told"),
    [
        ("at", ["2026-11-19 00:00:00+00", "2020-01-01", None], True, "the newest at is 2026-11-19"),
        ("at", ["2026-11-18 23:59:59+00"], False, "more than 36 hours before the drop landed"),
        ("at", ["2026-11-19 01:59:59+02"], False, "(2026-11-20 12:00:00+00:00)"),
        ("at", ["infinity"], True, "infinity"),
        ("seen", ["2026-11-19 00:00:00"], True, ""),
        ("seen", ["2026-11-18 23:59:59"], False, ""),
        ("day", ["2026-11-19"], True, ""),
        ("day", ["2026-11-18"], False, "the newest day is 2026-11-18, more than 36 hours"),
        ("at", [None], True, "at has no value"),
        ("at", [], True, "at has no value"),
    ],
)
async def test_freshness(
    drop: StagedDrop, column: str, values: list[Any], passed: bool, told: str
) -> None:
    await drop.stage(column, *values)
    outcome = await drop.run(on("freshness", column, within="36 hours"))
    assert outcome.passed == passed, outcome.message
    assert told in outcome.message


@pytest.mark.parametrize(
    ("test", "state", "words"),
    [
        (on("matches", "email", pattern="("), "2201B", "a regular expression in it is not valid"),
        (on("accepted_values", "id", values=["x"]), "22P02", "a value cannot be converted"),
        (on("range", "day", min="soon"), "22007", "a value cannot be converted"),
        (on("range", "email", min=1), "42883", "no function or operator of this name"),
        (on("references", "id", table="dev.none", to="id"), "42P01", "or that is not there"),
        (on("references", "id", table="dev.users", to="none"), "42703", "a column that is not"),
        ({"not_null": "none"}, "42703", "a column that is not there"),
    ],
)
async def test_test_that_does_not_fit_fails_with_its_sqlstate(
    drop: StagedDrop, test: object, state: str, words: str
) -> None:
    await drop.stage("email", "a")
    outcome = await drop.run(test)
    assert not outcome.passed
    assert outcome.message.startswith(f"could not be run (SQLSTATE {state}): "), outcome.message
    assert words in outcome.message


HOSTILE = "it's \\d %s %(x)s {0} {{rows}} \"q\" $$ -- /* ');"


async def test_hostile_values_stay_values(drop: StagedDrop) -> None:
    await drop.stage("email", HOSTILE, "x")
    outcome = await drop.run(on("accepted_values", "email", values=[HOSTILE]))
    assert outcome.line_numbers == (2,)
    assert (await drop.run(on("range", "email", min=HOSTILE, max=HOSTILE))).failing_rows == 1
    pattern = "***=" + HOSTILE
    assert (await drop.run(on("matches", "email", pattern=pattern))).line_numbers == (2,)


async def test_numbers_of_lines_and_samples_are_limited(drop: StagedDrop) -> None:
    await drop.stage("email", *["x" * 500] * 5)
    test = on("length", "email", max=1)
    outcome = await drop.run(test, sample=2, limit=3)
    assert (outcome.failing_rows, outcome.line_numbers) == (5, (1, 2, 3))
    assert not outcome.separable
    assert [row.line_number for row in outcome.sample] == [1, 2]
    assert all(len(str(row.values[0])) < 130 for row in outcome.sample)
