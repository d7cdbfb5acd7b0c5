"""Tests that are a user's own select: on a real Postgres, where they can neither write, nor run on
and on, nor break the load that they are part of."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from tests.staged_drop import DROP, EARLIER, StagedDrop, by_sql

pytestmark = pytest.mark.integration


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
async def test_sql_tells_the_rows_that_it_selects(drop: StagedDrop, text: str) -> None:
    await drop.stage("email", "a", "b", None, "b")
    outcome = await drop.run(by_sql(text))
    assert (outcome.failing_rows, outcome.line_numbers) == (2, (2, 4)), outcome.message
    assert outcome.message == "2 rows: selected by no b"
    assert outcome.separable


async def test_sql_that_selects_nothing_passes(drop: StagedDrop) -> None:
    await drop.stage("email", "a")
    assert (await drop.run(by_sql("select * from {{rows}} where email = 'b'"))).passed


async def test_sql_without_line_numbers_counts_only(drop: StagedDrop) -> None:
    await drop.stage("email", "a", "b", "b")
    outcome = await drop.run(by_sql("select email from {{rows}}"))
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
    drop: StagedDrop, text: str, words: str
) -> None:
    await drop.execute("create sequence dev.numbers")
    await drop.execute(
        "create function dev.emptied() returns int language sql volatile "
        "as $$ delete from dev.users returning 1 $$"
    )
    await drop.have("id", 1, drop=EARLIER.drop_id)
    await drop.stage("id", 1)
    outcome = await drop.run(by_sql(text), timeout_seconds=0.3)
    assert not outcome.passed
    assert outcome.message.startswith("could not be run: ")
    assert words in outcome.message
    assert (outcome.failing_rows, outcome.separable) == (0, False)
    for table, rows in (("dev.users", 1), ("pg_temp.staged", 1)):
        assert await drop.execute(f"select count(*) from {table}") == [(rows,)]


async def test_transaction_goes_on_after_failing_tests(drop: StagedDrop) -> None:
    await drop.stage("email", "a", None)
    tests = [
        by_sql("select pg_sleep(20) from {{rows}}"),
        {"not_null": "email", "severity": "warn", "name": "email is there"},
        by_sql("selekt {{rows}}"),
    ]
    outcomes = await drop.run_all(tests, timeout_seconds=0.2)
    assert [outcome.label for outcome in outcomes] == ["no b", "email is there", "no b"]
    assert [(one.severity, one.kind) for one in outcomes][1] == ("warn", "not_null")
    settings = "current_setting('transaction_read_only'), current_setting('statement_timeout')"
    assert await drop.execute(f"select {settings}") == [("off", "0")]
    await drop.have("email", "b", drop=DROP.drop_id)


async def test_nothing_that_a_select_sets_or_locks_outlives_it(drop: StagedDrop) -> None:
    await drop.stage("id", 1)
    await drop.execute("select pg_advisory_xact_lock(1)")
    for after in ("1", "1 / (id - id)", "pg_sleep(20)"):
        locks = "pg_advisory_lock(2), set_config('headrace.drop_id', 'x', false)"
        await drop.run(by_sql(f"select {locks}, {after} from {{{{rows}}}}"), timeout_seconds=0.2)
    locked = "select objid::int from pg_locks where locktype = 'advisory'"
    assert await drop.execute(locked) == [(1,)]
    assert await drop.execute("select current_setting('headrace.drop_id', true)") == [("",)]


async def test_cancelling_by_an_operator_is_not_the_tests_fault(drop: StagedDrop) -> None:
    await drop.stage("email", "a")
    text = "select pg_cancel_backend(pg_backend_pid()), pg_sleep(5) from {{rows}}"
    with pytest.raises(errors.QueryCanceled):
        await drop.run(by_sql(text))


async def test_lost_connection_passes_through(drop: StagedDrop) -> None:
    await drop.stage("email", "a")
    await drop.connection.commit()
    text = "select pg_terminate_backend(pg_backend_pid()), pg_sleep(5) from {{rows}}"
    with pytest.raises(psycopg.OperationalError):
        await drop.run(by_sql(text))
