"""The data tests on a real Postgres: exactly the rows that fail, and nothing that a test breaks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import AsyncConnection, errors, sql
from pydantic import TypeAdapter

from headrace_loader.row_tests import StagedRows
from headrace_loader.testing_rows import run_tests
from headrace_shared.data_tests import DataTest
from headrace_shared.drop import Drop, drop_id

pytestmark = pytest.mark.integration

LANDED = datetime(2026, 11, 20, 12, tzinfo=UTC)
TARGET = sql.Identifier("dev", "users")
STAGED = sql.Identifier("pg_temp", "staged")
READ: TypeAdapter[DataTest] = TypeAdapter(DataTest)

Run = Callable[..., Coroutine[Any, Any, Any]]
Connection = AsyncConnection[Any]

COLUMNS = """
    id bigint, small smallint, email text, code varchar(5), price numeric(9, 2), share real,
    paid boolean, day date, at timestamptz, seen timestamp, more jsonb,
    "select" text, "order" text, "found" text
"""


def a_drop(at: datetime = LANDED) -> Drop:
    key = "dev/append/users/1.csv"
    named = drop_id(landed_at=at, sequencer=None, bucket="lake", key=key, version_id=None, etag="e")
    return Drop.model_validate(
        {
            "drop_id": named,
            "bucket": "lake",
            "key": key,
            "etag": "e",
            "size_bytes": 1,
            "landed_at": at,
        }
    )


DROP = a_drop()
EARLIER = a_drop(LANDED - timedelta(days=1))


@pytest.fixture
async def connection(warehouse_dsn: str) -> AsyncIterator[Connection]:
    """In a transaction, with a staging table and its target."""
    async with await AsyncConnection.connect(warehouse_dsn, options="-c timezone=UTC") as opened:
        await opened.execute("create schema dev")
        await opened.execute(f"create table dev.users ({COLUMNS}, _drop_id uuid)".encode())
        await opened.execute(
            f'create temporary table staged ({COLUMNS}, "line number" bigint '
            "generated always as identity)".encode()
        )
        yield opened
        if not opened.closed:
            await opened.rollback()


async def put(connection: Connection, column: str, *values: Any, drop: UUID | None = None) -> None:
    """Stages a row for each value; of a drop, into the target."""
    statement = (
        "insert into {} ({}) values (%s)"
        if drop is None
        else ("insert into {} ({}, _drop_id) values (%s, %s)")
    )
    place = STAGED if drop is None else TARGET
    for value in values:
        await connection.execute(
            sql.SQL(statement).format(place, sql.Identifier(column)),
            [value] if drop is None else [value, drop],
        )


async def run(
    connection: Connection, test: object, *, replaces: Sequence[str] = (), **limits: Any
) -> Any:
    tested = StagedRows(STAGED, TARGET, DROP, replaces)
    [outcome] = await run_tests(connection, [READ.validate_python(test)], tested, **limits)
    assert (await (await connection.execute("select 1")).fetchone()) == (1,)
    return outcome


def on(kind: str, column: str, **fields: Any) -> dict[str, Any]:
    return {kind: {"column": column, **fields}}


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
    connection: Connection,
    column: str,
    values: list[Any],
    test: object,
    failing: tuple[int, ...],
    message: str,
) -> None:
    await put(connection, column, *values)
    outcome = await run(connection, test)
    assert outcome.line_numbers == failing, outcome.message
    assert outcome.failing_rows == len(failing)
    assert outcome.passed == (not failing)
    assert outcome.separable
    assert message in outcome.message
    told = [(row.line_number, row.values) for row in outcome.sample]
    assert [line for line, _ in told] == list(failing[:10])


async def test_uniqueness_of_columns_together(connection: Connection) -> None:
    for pair in [(1, "a"), (1, "b"), (1, "a"), (1, None), (1, None), (2, "a")]:
        await connection.execute("insert into staged (id, email) values (%s, %s)", pair)
    outcome = await run(connection, {"unique": ["id", "email"]})
    assert outcome.line_numbers == (1, 3)
    assert outcome.message == "2 rows: id, email are not unique together in the drop"
    assert outcome.sample[0].values == ("1", "a")


async def test_uniqueness_in_the_table_leaves_the_drops_own_rows_out(
    connection: Connection,
) -> None:
    await put(connection, "email", "old", "own", None, drop=EARLIER.drop_id)
    await connection.execute("update dev.users set _drop_id = null where email = 'old'")
    await put(connection, "email", "mine", drop=DROP.drop_id)
    await put(connection, "email", "new", "old", "mine", None, "twice", "twice", "own")
    assert (await run(connection, {"unique": "email"})).line_numbers == (5, 6)
    outcome = await run(connection, {"unique": "email", "within": "table"})
    assert outcome.line_numbers == (2, 5, 6, 7)
    assert outcome.failing_rows == 4
    assert outcome.message == "4 rows: email is not unique in the table"


async def test_rows_that_an_upsert_replaces_are_not_held_against_it(
    connection: Connection,
) -> None:
    rows = [(1, "a"), (2, "b"), (None, "n")]
    for id_, email in rows:
        await connection.execute(
            "insert into dev.users (id, email, _drop_id) values (%s, %s, %s)",
            [id_, email, EARLIER.drop_id],
        )
    for id_, email in [(1, "a"), (3, "b"), (None, "n")]:
        await connection.execute("insert into staged (id, email) values (%s, %s)", [id_, email])
    test = {"unique": "email", "within": "table"}
    assert (await run(connection, test)).line_numbers == (1, 2, 3)
    assert (await run(connection, test, replaces=["id"])).line_numbers == (2,)


async def test_references_to_another_table(connection: Connection) -> None:
    await connection.execute("create table dev.countries (code text, region text)")
    await connection.execute("insert into dev.countries values ('de', 'eu'), (null, 'eu')")
    await put(connection, "code", "de", "xx", None, "DE")
    test = on("references", "code", table="dev.countries", to="code")
    outcome = await run(connection, test)
    assert outcome.line_numbers == (2, 4)
    assert outcome.message == "2 rows: code is not in dev.countries (code)"
    await connection.execute("delete from staged where code <> 'de'")
    assert (await run(connection, test)).passed


async def test_references_of_columns_together(connection: Connection) -> None:
    await connection.execute("create table dev.places (code text, region text)")
    await connection.execute("insert into dev.places values ('de', 'eu'), ('us', 'am')")
    for pair in [("de", "eu"), ("de", "am"), ("de", None)]:
        await connection.execute("insert into staged (code, email) values (%s, %s)", pair)
    test = {"references": {**on("c", "")["c"], "column": ["code", "email"]}}
    test["references"] |= {"table": "dev.places", "to": ["code", "region"]}
    outcome = await run(connection, test)
    assert outcome.line_numbers == (2,)
    assert outcome.message == "1 row: code, email are not in dev.places (code, region)"


async def test_references_to_the_own_table_may_be_met_by_the_same_drop(
    connection: Connection,
) -> None:
    await put(connection, "id", 7, drop=EARLIER.drop_id)
    for pair in [(1, None), (2, 1), (3, 7), (4, 99)]:
        await connection.execute("insert into staged (id, small) values (%s, %s)", pair)
    outcome = await run(connection, on("references", "small", table="dev.users", to="id"))
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
    connection: Connection, limits: dict[str, int], passed: bool, message: str
) -> None:
    await put(connection, "email", "a", None)
    outcome = await run(connection, {"row_count": limits})
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
    connection: Connection, column: str, values: list[Any], passed: bool, told: str
) -> None:
    await put(connection, column, *values)
    outcome = await run(connection, on("freshness", column, within="36 hours"))
    assert outcome.passed == passed, outcome.message
    assert told in outcome.message


def by_sql(text: str) -> dict[str, Any]:
    return {"sql": text, "name": "no b"}


@pytest.mark.parametrize(
    "text",
    [
        "select * from {{rows}} where email = 'b'",
        "select * from {{ rows }} as r where r.email like '%b%' ; ",
        "with bad as (select * from {{rows}} where email = 'b') select * from bad -- it's all",
        '(select "line number", 1 from {{rows}} where email = $$b$$)',
        "select mine.* from {{rows}} mine join {{rows}} other using (email) where email = 'b'",
        "select * from {{rows}} where email = 'b' and '{0} {x} %s %(x)s' <> ''",
        "-- which?\nselect staged.* from {{rows}}, {{rows}} as other where staged.email = 'b'",
        "select *, 'x' as found from {{rows}} where email = 'b'",
    ],
)
async def test_sql_tells_the_rows_that_it_selects(connection: Connection, text: str) -> None:
    await put(connection, "email", "a", "b", None, "b")
    outcome = await run(connection, by_sql(text))
    assert (outcome.failing_rows, outcome.line_numbers) == (2, (2, 4)), outcome.message
    assert outcome.message == "2 rows: selected by no b"
    assert outcome.separable


async def test_sql_that_selects_nothing_passes(connection: Connection) -> None:
    await put(connection, "email", "a")
    assert (await run(connection, by_sql("select * from {{rows}} where email = 'b'"))).passed


async def test_sql_without_line_numbers_counts_only(connection: Connection) -> None:
    await put(connection, "email", "a", "b", "b")
    outcome = await run(connection, by_sql("select email from {{rows}}"))
    assert (outcome.failing_rows, outcome.line_numbers) == (3, ())
    assert not outcome.passed
    assert not outcome.separable


BREAKOUT = """
    select 1 from {{rows}}) as x), gone as (delete from dev.users returning 1),
    more as (select * from (select 1
"""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("selekt * from {{rows}}", 'syntax error at or near "selekt"'),
        ("select * from {{rows}} where colour = 1", 'column "colour" does not exist'),
        ("select 1 / (id - id) from {{rows}}", "division by zero"),
        ("select * from {{rows}}; drop table dev.users", "multiple commands"),
        ("select * from {{rows}}; commit; drop table dev.users", "multiple commands"),
        ("select 1; select * from {{rows}}", "multiple commands"),
        ("delete from dev.users using {{rows}} r returning *", "syntax error"),
        ("delete from {{rows}}", "syntax error"),
        (
            "with gone as (delete from dev.users returning *) select * from gone, {{rows}}",
            "data-modifying statement must be at the top level",
        ),
        (BREAKOUT, "syntax error"),
        ("analyze) select * from {{rows}}", "syntax error"),
        ("select * into dev.copy from {{rows}}", "SELECT ... INTO is not allowed here"),
        ("select dev.emptied() from {{rows}}", "read-only transaction"),
        (
            "select set_config('transaction_read_only', 'off', true), dev.emptied() from {{rows}}",
            "read-write mode",
        ),
        ("select u.* from dev.users u, {{rows}} for update of u", "read-only transaction"),
        ("select nextval('dev.numbers') from {{rows}}", "read-only transaction"),
        ("select * from {{rows}} /* open", "unterminated"),
        ("select pg_sleep(20) from {{rows}}", "statement timeout"),
        ("explain analyze select * from {{rows}}", "syntax error"),
        ("values (1), ((select count(*) from {{rows}}", "syntax error"),
    ],
)
async def test_sql_that_cannot_be_run_fails_in_postgres_words(
    connection: Connection, text: str, words: str
) -> None:
    await connection.execute("create sequence dev.numbers")
    await connection.execute(
        "create function dev.emptied() returns int language sql volatile "
        "as $$ delete from dev.users returning 1 $$"
    )
    await put(connection, "id", 1, drop=EARLIER.drop_id)
    await put(connection, "id", 1)
    outcome = await run(connection, by_sql(text), timeout_seconds=0.3)
    assert not outcome.passed
    assert outcome.message.startswith("could not be run: ")
    assert words in outcome.message
    assert (outcome.failing_rows, outcome.separable) == (0, False)
    for table, rows in (("dev.users", 1), ("pg_temp.staged", 1)):
        cursor = await connection.execute(f"select count(*) from {table}".encode())
        assert await cursor.fetchone() == (rows,)


@pytest.mark.parametrize(
    ("test", "words"),
    [
        (on("matches", "email", pattern="("), "invalid regular expression"),
        (on("accepted_values", "id", values=["x"]), 'invalid input syntax for type bigint: "x"'),
        (on("range", "day", min="soon"), 'invalid input syntax for type date: "soon"'),
        (on("range", "email", min=1), "operator does not exist: text >= integer"),
        (on("references", "id", table="dev.none", to="id"), 'relation "dev.none" does not exist'),
        ({"not_null": "none"}, "column staged.none does not exist"),
    ],
)
async def test_test_that_does_not_fit_fails_in_postgres_words(
    connection: Connection, test: object, words: str
) -> None:
    await put(connection, "email", "a")
    outcome = await run(connection, test)
    assert not outcome.passed
    assert outcome.message.startswith("could not be run: ")
    assert words in outcome.message


HOSTILE = "it's \\d %s %(x)s {0} {{rows}} \"q\" $$ -- /* ');"


async def test_hostile_values_stay_values(connection: Connection) -> None:
    await put(connection, "email", HOSTILE, "x")
    outcome = await run(connection, on("accepted_values", "email", values=[HOSTILE]))
    assert outcome.line_numbers == (2,)
    assert (await run(connection, on("range", "email", min=HOSTILE, max=HOSTILE))).failing_rows == 1
    pattern = "***=" + HOSTILE
    assert (await run(connection, on("matches", "email", pattern=pattern))).line_numbers == (2,)


async def test_pattern_that_runs_too_long_fails(connection: Connection) -> None:
    await put(connection, "email", "a" * 40 + "b")
    pattern = r"^(a|aa|aaa|aaaa)*(a|aa)*(.*)(.*)(.*)\1\2\3\4\5c$"
    outcome = await run(connection, on("matches", "email", pattern=pattern), timeout_seconds=0.2)
    assert not outcome.passed


async def test_numbers_of_lines_and_samples_are_limited(connection: Connection) -> None:
    await put(connection, "email", *["x" * 500] * 5)
    test = on("length", "email", max=1)
    outcome = await run(connection, test, sample=2, limit=3)
    assert (outcome.failing_rows, outcome.line_numbers) == (5, (1, 2, 3))
    assert not outcome.separable
    assert [row.line_number for row in outcome.sample] == [1, 2]
    assert all(len(row.values[0]) < 130 for row in outcome.sample)


async def test_transaction_goes_on_after_failing_tests(connection: Connection) -> None:
    await put(connection, "email", "a", None)
    tests = [
        by_sql("select pg_sleep(20) from {{rows}}"),
        {"not_null": "email", "severity": "warn", "name": "email is there"},
        by_sql("selekt {{rows}}"),
    ]
    outcomes = await run_tests(
        connection,
        [READ.validate_python(test) for test in tests],
        StagedRows(STAGED, TARGET, DROP),
        timeout_seconds=0.2,
    )
    assert [outcome.label for outcome in outcomes] == ["no b", "email is there", "no b"]
    assert [(one.severity, one.kind) for one in outcomes][1] == ("warn", "not_null")
    cursor = await connection.execute(
        "select current_setting('transaction_read_only'), current_setting('statement_timeout')"
    )
    assert await cursor.fetchone() == ("off", "0")
    await put(connection, "email", "b", drop=DROP.drop_id)


async def test_cancelling_by_an_operator_is_not_the_tests_fault(
    connection: Connection, warehouse_dsn: str
) -> None:
    await put(connection, "email", "a")
    text = "select pg_cancel_backend(pg_backend_pid()), pg_sleep(5) from {{rows}}"
    with pytest.raises(errors.QueryCanceled):
        await run(connection, by_sql(text))


async def test_lost_connection_passes_through(connection: Connection) -> None:
    await put(connection, "email", "a")
    await connection.commit()
    text = "select pg_terminate_backend(pg_backend_pid()), pg_sleep(5) from {{rows}}"
    with pytest.raises(psycopg.OperationalError):
        await run(connection, by_sql(text))
