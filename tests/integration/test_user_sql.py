"""Tests that are a user's own select: on a real Postgres, where they can read nothing but the rows
of the drop, write nothing, run no longer than they may, and not break the load they are part of."""

from __future__ import annotations

import asyncio
from typing import LiteralString

import psycopg
import pytest
from psycopg import errors

from headrace_loader.testing_rows import TestRules as Rules
from headrace_loader.testing_rows import TestsTimedOutError as TimedOutError
from tests.running_platform import eventually
from tests.staged_drop import DROP, EARLIER, StagedDrop, by_sql, on

pytestmark = pytest.mark.integration

ENDLESS = "select * from {{rows}} where (select count(*) from " + ", ".join(
    f"{{{{rows}}}} as r{n}" for n in range(9)
)
ENDLESS += ") = 0"
"""Tens of rows make a product that no machine counts within a minute."""


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
async def test_sql_reports_the_rows_that_it_selects(drop: StagedDrop, text: str) -> None:
    await drop.stage("email", "a", "b", None, "b")
    outcome = await drop.run(by_sql(text))
    assert (outcome.failing_rows, outcome.line_numbers) == (2, (2, 4)), outcome.message
    assert outcome.message == "2 rows: selected by no b"
    assert outcome.separable


@pytest.mark.parametrize(
    "where",
    [
        "email ~* '^A' or lower(trim(email)) in ('x') or email similar to '(x|a)%'",
        "not coalesce(id between 1 and 5, false) or greatest(id, small) > 7 or id % 2 = 1",
        "at > now() + interval '1 day' or date_trunc('day', at) < seen or now() > '2026-01-01'",
        "exists (select from {{rows}} as o where o.id = staged.id and o.email = 'a')",
        "id = any (array[1, 2]) and (id, email) in (select id, email from {{rows}})",
        "price::text ~ '^[0-9]' or to_char(coalesce(day, date '2026-01-01'), 'YYYY') = '2026'",
        "(to_jsonb(staged) ->> 'id')::int = 1 and jsonb_typeof(to_jsonb(email)) = 'string'",
        "case email when 'a' then true else false end and cast(id as text) = '1'",
        "split_part(email || '@x', '@', 2) = 'x' and md5(email) <> '' and length(email) = 1",
    ],
)
async def test_what_tests_are_made_of_may_be_used(drop: StagedDrop, where: str) -> None:
    await drop.stage("id, email", (1, "a"))
    outcome = await drop.run(by_sql(f"select * from {{{{rows}}}} where {where}"))
    assert outcome.line_numbers == (1,), outcome.message


NUMBERED = """
    select * from (select *, row_number() over (partition by email order by id) as place
    from {{rows}}) as numbered where place > 1
"""
GROUPED = """
    select r.* from {{rows}} r join (select email, count(*) as n, max(id) as most from
    {{rows}} group by email having count(*) > 1) again using (email) where r.id < most
"""
JOINED = """
    select r.* from {{rows}} r where id not in (select unnest(array[1, 3])) union all
    select * from {{rows}} where email is null
"""
MEASURED = """
    select r.* from {{rows}} r, lateral (select avg(id) filter (where id > 0) as mean,
    stddev(id), percentile_cont(0.5) within group (order by id) as middle,
    string_agg(email, ',' order by id), jsonb_agg(email) from {{rows}}) as figures
    where r.id > figures.mean and r.id > middle
"""


@pytest.mark.parametrize(
    ("text", "lines"), [(NUMBERED, (2,)), (GROUPED, (1,)), (JOINED, (2,)), (MEASURED, (3,))]
)
async def test_aggregates_and_windows_may_be_used(
    drop: StagedDrop, text: str, lines: tuple[int, ...]
) -> None:
    await drop.stage("id, email", (1, "a"), (2, "a"), (3, "b"))
    outcome = await drop.run(by_sql(text))
    assert outcome.line_numbers == lines, outcome.message


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
    ("text", "state"),
    [
        ("selekt * from {{rows}}", "42601"),
        ("select * from {{rows}} where colour = 1", "42703"),
        ("select 1 / (id - id) from {{rows}}", "22012"),
        ("select * from {{rows}}; drop table dev.users", "42601"),
        ("select * from {{rows}}; commit; drop table dev.users", "42601"),
        ("select 1; select * from {{rows}}", "42601"),
        ("delete from dev.users using {{rows}} r returning *", "42501"),
        ("delete from {{rows}}", "42601"),
        ("with gone as (delete from {{rows}} returning *) select * from gone", "0A000"),
        (BREAKOUT, "42601"),
        ("analyze) select * from {{rows}}", "42601"),
        ("select * into dev.copy from {{rows}}", "42601"),
        ("select u.* from {{rows}} u for update", "42501"),
        ("select * from {{rows}} /* open", "42601"),
        ("explain analyze select * from {{rows}}", "42601"),
        ("values (1), ((select count(*) from {{rows}}", "42601"),
        ("select email::bigint from {{rows}}", "22P02"),
        ("select * from {{rows}} where email = $1", "42P02"),
        ("select * from {{rows}} where email ~ '('", "2201B"),
    ],
)
async def test_sql_that_cannot_be_run_fails_with_its_sqlstate(
    drop: StagedDrop, text: str, state: str
) -> None:
    await drop.have("id", 1, drop=EARLIER.drop_id)
    await drop.stage("id, email", (1, "a secret"))
    outcome = await drop.run(by_sql(text))
    assert not outcome.passed
    assert outcome.message.startswith(f"could not be run (SQLSTATE {state}): "), outcome.message
    assert "secret" not in outcome.message
    assert (outcome.failing_rows, outcome.separable) == (0, False)
    for table, rows in (("dev.users", 1), ("pg_temp.staged", 1)):
        assert await drop.execute(f"select count(*) from {table}") == [(rows,)]


AS_LOADER = "set_config('role', 'none', true)"
VAULT = "select string_agg(v, '') from alpha.vault"

ATTACKS = {
    "another database": f"select *, cast(({VAULT}) as int) from {{{{rows}}}}",
    "another table of the database": "select * from {{rows}}, dev.users",
    "the table itself": "table dev.users union select * from dev.users, {{rows}}",
    "the ledger": "select (select count(*) from headrace.ledger) from {{rows}}",
    "a function of another schema": "select alpha.secrets() from {{rows}}",
    "a function with its owner's rights": "select public.secrets() from {{rows}}",
    "an operator of another schema": "select id operator(public.===) 1 from {{rows}}",
    "a cast to a type of another schema": "select id::text::public.odd from {{rows}}",
    "a domain whose rule is a function": "select 'x'::public.watched from {{rows}}",
    "a function of the session": "select pg_temp.planted() from {{rows}}",
    "who is connected": "select * from {{rows}}, pg_stat_activity",
    "who is connected, by function": "select * from {{rows}}, pg_stat_get_activity(null)",
    "ending a connection": "select pg_terminate_backend(pid) from {{rows}}, (select 1 as pid) x",
    "ending its own connection": "select pg_terminate_backend(pg_backend_pid()) from {{rows}}",
    "cancelling": "select pg_cancel_backend(1) from {{rows}}",
    "settings": "select current_setting('data_directory') from {{rows}}",
    "settings, as a view": "select * from {{rows}}, pg_settings",
    "setting": "select set_config('work_mem', '1GB', false) from {{rows}}",
    "leaving the role": f"select {AS_LOADER}, (select v from alpha.vault) from {{{{rows}}}}",
    "leaving the role within": (
        f"select {AS_LOADER}, query_to_xml('{VAULT}', true, true, '') from {{{{rows}}}}"
    ),
    "leaving the session's user": (
        "select set_config('session_authorization', 'postgres', false) from {{rows}}"
    ),
    "SQL in a string": f"select query_to_xml('{VAULT}', true, true, '') from {{{{rows}}}}",
    "SQL in a string of text search": f"select ts_stat($${VAULT}$$) from {{{{rows}}}}",
    "a table as XML": "select table_to_xml('alpha.vault', true, true, '') from {{rows}}",
    "a schema as XML": "select schema_to_xml('alpha', true, true, '') from {{rows}}",
    "XML": "select xmlparse(document '<a/>') from {{rows}}",
    "files": "select pg_read_file('/etc/passwd') from {{rows}}",
    "folders": "select pg_ls_dir('/') from {{rows}}",
    "whether a file is there": "select pg_stat_file('/etc/passwd') from {{rows}}",
    "making a large object": "select lo_from_bytea(0, 'x') from {{rows}}",
    "writing a file": "select lo_export(1, '/tmp/x') from {{rows}}",
    "reading a file": "select lo_import('/etc/passwd') from {{rows}}",
    "large objects": "select lo_get(1) from {{rows}}",
    "another connection": "select * from {{rows}}, dblink('', 'select 1') as t (a int)",
    "locks": "select pg_advisory_lock(1) from {{rows}}",
    "locks of the transaction": "select pg_advisory_xact_lock(1) from {{rows}}",
    "trying locks": "select pg_try_advisory_lock_shared(1) from {{rows}}",
    "giving locks back": "select pg_advisory_unlock_all() from {{rows}}",
    "telling others": "select pg_notify('x', 'y') from {{rows}}",
    "sleeping": "select pg_sleep(1) from {{rows}}",
    "sequences": "select nextval('dev.numbers') from {{rows}}",
    "sequences, looking": "select last_value from {{rows}}, dev.numbers",
    "tables' names": "select relname from {{rows}}, pg_class",
    "tables' names by the standard": "select table_name from {{rows}}, information_schema.tables",
    "functions' names": "select proname from {{rows}}, pg_catalog.pg_proc",
    "other databases' names": "select datname from {{rows}}, pg_database",
    "roles": "select rolname from {{rows}}, pg_roles",
    "statistics": "select most_common_vals from {{rows}}, pg_stats",
    "whether a table is there": "select to_regclass('alpha.vault') from {{rows}}",
    "whether a table is there, by cast": "select 'alpha.vault'::regclass from {{rows}}",
    "a name by its number": "select 1259::regclass::text from {{rows}}",
    "names by numbers in rows": "select id::regtype from {{rows}}",
    "names in arrays": "select array[1]::regrole[] from {{rows}}",
    "names in records": "select x.a from {{rows}}, json_to_record('{}') as x (a regclass)",
    "whether a text is a name": "select pg_input_is_valid('alpha.vault', 'regclass') from {{rows}}",
    "rights": "select has_table_privilege('alpha.vault', 'select') from {{rows}}",
    "definitions": "select pg_get_viewdef(1) from {{rows}}",
    "sizes": "select pg_relation_size(1) from {{rows}}",
    "dropped columns' hierarchy": "select satisfies_hash_partition(1, 1, 1) from {{rows}}",
    "the role": "select current_user from {{rows}}",
    "the session's role": "select session_user from {{rows}}",
    "the database": "select current_database() from {{rows}}",
    "the schema": "select current_schema from {{rows}}",
    "the address": "select inet_server_addr() from {{rows}}",
    "the version": "select version() from {{rows}}",
    "recursion": (
        "with recursive r (t) as (select 'aa' union all select t || t from r) "
        "select t from r, {{rows}}"
    ),
    "rows out of nothing": "select generate_series(1, 1000000000) from {{rows}}",
    "text out of nothing": "select repeat('x', 1000000000) from {{rows}}",
    "samples": "select * from dev.users tablesample system (1), {{rows}}",
    "a table out of XML": (
        "select * from {{rows}}, xmltable('/a' passing '<a/>' columns b text path 'b')"
    ),
    "an OID with a name like a token": 'select pg_sleep(1) as ":relid 0" from {{rows}} as "}{"',
    "cursors": "select cursor_to_xml('x', 1, true, true, '') from {{rows}}",
    "starting another server process": "select pg_reload_conf() from {{rows}}",
    "the server's log": "select pg_rotate_logfile() from {{rows}}",
    "changing what is shown of it": "select pg_stat_reset() from {{rows}}",
    "snapshots": "select pg_export_snapshot() from {{rows}}",
    "random": "select setseed(0.5) from {{rows}}",
}


SURROUNDINGS = """
    create schema alpha;
    create table alpha.vault (v text);
    insert into alpha.vault values ('a secret');
    create sequence dev.numbers;
    create function alpha.secrets() returns text stable language sql as
        'select v from alpha.vault';
    create function pg_temp.planted() returns int stable language sql as 'select 1';
    create function public.secrets() returns text stable security definer language sql as
        'select v from alpha.vault';
    create function public.equal(bigint, int) returns bool immutable language sql as
        'select public.secrets() is null';
    create operator public.=== (function = public.equal, leftarg = bigint, rightarg = int);
    create type public.odd as enum ('1');
    create domain public.watched as text check (public.secrets() is null)
"""


@pytest.mark.parametrize("attack", ATTACKS)
async def test_sql_reads_nothing_but_the_rows(drop: StagedDrop, attack: str) -> None:
    for statement in SURROUNDINGS.split(";"):
        await drop.execute(statement)
    await drop.stage("id", 1)
    outcome = await drop.run(by_sql(ATTACKS[attack]))
    assert not outcome.passed
    assert outcome.message.startswith("could not be run (SQLSTATE "), outcome.message
    refused = ("42501", "42P01", "42883", "42704", "42601", "0A000")
    assert outcome.message[27:32] in refused, outcome.message
    assert "a secret" not in outcome.message
    assert (outcome.failing_rows, outcome.line_numbers) == (0, ())


LEFT_ALONE = [
    f"select {AS_LOADER}",
    "select set_config('session_authorization', session_user, true)",
    "set role none",
    "reset role",
    "select v from alpha.vault",
    "select count(*) from headrace.ledger",
    "select query_to_xml('select v from alpha.vault', true, true, '')",
    "select dev.secrets()",
    "select pg_read_file('/etc/passwd')",
    "select lo_import('/etc/passwd')",
    "select lo_from_bytea(0, 'x')",
    "create table dev.more (a int)",
    "insert into pg_temp.staged (id) values (7)",
    "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()",
]


@pytest.mark.parametrize("statement", LEFT_ALONE)
async def test_role_by_itself_holds_where_the_other_wall_fails(
    drop: StagedDrop, statement: str
) -> None:
    """The second wall without the first: what the function that runs a test could do, if any
    statement came through to it."""
    await drop.execute("create schema alpha")
    await drop.execute("create table alpha.vault as select 'a secret' as v")
    await drop.execute("create schema if not exists headrace")
    await drop.execute("create table if not exists headrace.ledger (a int)")
    await drop.execute(
        "create function dev.secrets() returns text security definer language sql as "
        "'select v from alpha.vault'"
    )
    await drop.stage("id", 1)
    await drop.execute("grant select on pg_temp.staged to headrace_tests")
    await drop.execute("set local role headrace_tests")
    await drop.execute(
        "create function pg_temp.tried() returns void language plpgsql security definer as "
        f"$body$ begin execute $text${statement}$text$; end $body$"
    )
    await drop.execute("set local transaction_read_only = on")
    with pytest.raises((errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction)):
        await drop.execute("select pg_temp.tried()")


async def test_nothing_of_a_test_outlives_it(drop: StagedDrop) -> None:
    await drop.stage("id", 1)
    before = await drop.execute("select current_user, current_setting('search_path')")
    for text in ("select * from {{rows}}", "select 1 / (id - id) from {{rows}}", "selekt {{rows}}"):
        await drop.run(by_sql(text))
    assert before == await drop.execute("select current_user, current_setting('search_path')")
    left = "select relname from pg_class where relnamespace = pg_my_temp_schema() and relkind = 'v'"
    assert await drop.execute(left) == []
    assert await drop.execute("select name from pg_prepared_statements where from_sql") == []
    rights = "select has_table_privilege('headrace_tests', 'pg_temp.staged', 'select')"
    assert await drop.execute(rights) == [(False,)]


async def test_transaction_goes_on_after_failing_tests(drop: StagedDrop) -> None:
    await drop.stage("email", *["a"] * 60, None)
    tests = [
        {"not_null": "email", "severity": "warn", "name": "email is there"},
        by_sql("selekt {{rows}}"),
        {**by_sql(ENDLESS), "severity": "warn"},
        {"not_null": "email", "severity": "warn"},
    ]
    outcomes = await drop.run_all(tests, rules=Rules(timeout_seconds=1))
    assert [outcome.label for outcome in outcomes][:3] == ["email is there", "no b", "no b"]
    assert (outcomes[0].severity, outcomes[0].kind) == ("warn", "not_null")
    late = "could not be run (SQLSTATE 57014): the time that all tests of a drop may take"
    assert [one.message.startswith(late) for one in outcomes] == [False, False, True, True]
    settings = "current_setting('transaction_read_only'), current_setting('statement_timeout')"
    assert await drop.execute(f"select {settings}") == [("off", "0")]
    await drop.have("email", "b", drop=DROP.drop_id)


@pytest.mark.parametrize(
    "slow",
    [by_sql(ENDLESS), on("matches", "email", pattern=r"(.*)(.*)(.*)(.*)(.*)\1\2\3\4\5$")],
)
async def test_all_tests_of_a_drop_share_one_time(
    drop: StagedDrop, slow: dict[str, object]
) -> None:
    await drop.stage("email", *["ab" * 100] * 60)
    warned = {**slow, "severity": "warn"}
    with pytest.raises(TimedOutError) as raised:
        await drop.run_all(
            [warned, warned, {"not_null": "email", "name": "last"}],
            rules=Rules(timeout_seconds=0.5),
        )
    assert raised.value.table == "dev.users"
    assert raised.value.reason.code == "tests_timed_out"
    assert "the 0.5 seconds" in raised.value.reason.message
    assert "at last" in raised.value.reason.message
    await drop.execute("select 1")


@pytest.mark.parametrize("off", ["dev", "*"])
async def test_sql_tests_can_be_turned_off(drop: StagedDrop, off: str) -> None:
    await drop.stage("email", "a")
    tests = [by_sql("select * from {{rows}}"), {"not_null": "email"}]
    outcomes = await drop.run_all(tests, rules=Rules(without_sql=frozenset({off, "beta"})))
    assert [one.passed for one in outcomes] == [False, True]
    assert "HEADRACE_SQL_TESTS_OFF" in outcomes[0].message
    assert (await drop.run(tests[0], rules=Rules(without_sql=frozenset({"beta"})))).failing_rows


async def test_cancelling_by_an_operator_is_not_the_tests_fault(
    drop: StagedDrop, warehouse_dsn: str
) -> None:
    with pytest.raises(errors.QueryCanceled):
        await _disturbed(drop, warehouse_dsn, "select pg_cancel_backend(%s)")


async def test_lost_connection_passes_through(drop: StagedDrop, warehouse_dsn: str) -> None:
    await drop.connection.commit()
    with pytest.raises(psycopg.OperationalError):
        await _disturbed(drop, warehouse_dsn, "select pg_terminate_backend(%s)")


async def _disturbed(drop: StagedDrop, dsn: str, by: LiteralString) -> None:
    """A test that runs on and on, and what another session does to it."""
    await drop.stage("email", *["a"] * 60)
    pid = drop.connection.info.backend_pid

    def disturb() -> None:
        at_it = "select true from pg_stat_activity where pid = %s and query ~ 'from pg_temp.tested'"
        with psycopg.connect(dsn, autocommit=True) as other:
            eventually(lambda: other.execute(at_it, [pid]).fetchone(), "the test runs")
            other.execute(by, [pid])

    running = asyncio.create_task(drop.run(by_sql(ENDLESS)))
    await asyncio.to_thread(disturb)
    await running
