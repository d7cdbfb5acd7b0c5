"""What a real Postgres says when it cannot, and what the loader makes of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import errors, sql

from headrace_loader.outcomes import Applied, Loaded, Rejected
from headrace_loader.sqlstate import DdlRefusedError, ddl_errors, warehouse_errors
from headrace_shared.errors import TransientError
from tests.road import CONTRACT, Road

Connection = psycopg.Connection[Any]


@contextmanager
def two(dsn: str) -> Iterator[tuple[Connection, Connection]]:
    """Two connections, and a table with two rows."""
    with psycopg.connect(dsn) as one, psycopg.connect(dsn) as other:
        one.execute("create table t (id int primary key, n int)")
        one.execute("insert into t values (1, 0), (2, 0)")
        one.commit()
        yield one, other


def transient(error: psycopg.Error) -> TransientError:
    with pytest.raises(TransientError) as raised, warehouse_errors("loading"):
        raise error
    return raised.value


def as_operator(road: Road, statement: LiteralString) -> None:
    """Does something to the warehouse (`{}` is its name), and has everybody connect anew."""
    name = sql.Identifier(road.dsn.rpartition("/")[2])
    with psycopg.connect(road.dsn, autocommit=True) as connection:
        connection.execute("set default_transaction_read_only = off")
        connection.execute(sql.SQL(statement).format(name))
        connection.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid()"
        )


def test_deadlock_is_transient(warehouse_dsn: str) -> None:
    met: list[psycopg.Error] = []

    def update(connection: Connection, number: int) -> None:
        try:
            connection.execute("update t set n = n + 1 where id = %s", [number])
        except psycopg.Error as error:
            met.append(error)
        connection.rollback()

    with two(warehouse_dsn) as (one, other):
        one.execute("update t set n = 1 where id = 1")
        other.execute("update t set n = 1 where id = 2")
        crossing = threading.Thread(target=update, args=(other, 1))
        crossing.start()
        update(one, 2)
        crossing.join(30)
    assert [type(error) for error in met] == [errors.DeadlockDetected]
    assert transient(met[0]).reason.code == "temporarily_unavailable"


def test_serialization_failure_is_transient(warehouse_dsn: str) -> None:
    with two(warehouse_dsn) as (one, other):
        one.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        one.execute("select * from t")
        other.execute("update t set n = 1 where id = 1")
        other.commit()
        with pytest.raises(errors.SerializationFailure) as met:
            one.execute("update t set n = 2 where id = 1")
    assert transient(met.value).reason.code == "temporarily_unavailable"


def test_terminated_backend_is_transient(warehouse_dsn: str) -> None:
    with two(warehouse_dsn) as (one, other):
        other.execute("select pg_terminate_backend(%s, 5000)", [one.info.backend_pid])
        with pytest.raises(psycopg.OperationalError) as met:
            one.execute("select 1")
    assert met.value.sqlstate in ("57P01", None)
    assert transient(met.value).reason.code == "temporarily_unavailable"


def test_statement_that_is_cancelled_is_transient(warehouse_dsn: str) -> None:
    with psycopg.connect(warehouse_dsn) as connection:
        connection.execute("set statement_timeout = '10ms'")
        with pytest.raises(errors.QueryCanceled) as met:
            connection.execute("select pg_sleep(30)")
    assert "statement_timeout" in transient(met.value).reason.remedy


async def test_read_only_server_makes_a_drop_wait_and_then_load(road: Road) -> None:
    await road.contract()
    drop = road.land("dev/append/users/a.csv", "id\n1\n")
    as_operator(road, "alter database {} set default_transaction_read_only = on")
    with pytest.raises(TransientError, match="read-only transaction") as waiting:
        await road.bring(drop)
    assert "point HEADRACE_WAREHOUSE_DSN (or the secret) at" in waiting.value.reason.remedy
    as_operator(road, "alter database {} set default_transaction_read_only = off")
    assert isinstance(await road.bring(drop), Loaded)


async def test_table_dropped_by_hand_makes_its_drops_wait_and_say_so(road: Road) -> None:
    await road.contract()
    as_operator(road, "drop table dev.users")
    drop = road.land("dev/truncate/users/a.csv", "id\n1\n")
    with pytest.raises(TransientError) as waiting:
        await road.bring(drop)
    reason = waiting.value.reason
    assert reason.code == "warehouse_needs_attention"
    assert 'relation "dev.users" does not exist' in reason.message
    assert "replay its contract" in reason.remedy


async def test_contract_replayed_makes_the_table_again(road: Road) -> None:
    contract = road.land_contract()
    await road.bring(contract)
    as_operator(road, "drop table dev.users")
    drop = road.land("dev/truncate/users/a.csv", "id\n1\n")
    assert isinstance(await road.bring(contract, request=1_900_000_000_000), Applied)
    assert isinstance(await road.bring(drop), Loaded)


async def test_drop_waits_for_a_right_that_its_loader_lacks(road: Road) -> None:
    await road.contract()
    drop = road.land("dev/append/users/a.csv", "id\n1\n")
    as_operator(road, "revoke insert on dev.users from current_user")
    with pytest.raises(TransientError, match="permission denied for table users") as waiting:
        await road.bring(drop)
    assert waiting.value.reason.remedy.startswith("Grant the loader's role")
    as_operator(road, "grant insert on dev.users to current_user")
    assert isinstance(await road.bring(drop), Loaded)


async def test_key_too_long_for_its_index_rejects_the_drop_alone(road: Road) -> None:
    columns = [{"name": "id", "type": "bigint"}, {"name": "name", "type": "text"}]
    await road.contract(columns=[*columns, CONTRACT["columns"][2]], primary_key=["name"])
    long = "".join(f"{number:x}-" for number in range(100_003, 200_003, 7))
    bad = road.land("dev/append/users/a.csv", f"id,name\n1,a\n2,{long}\n")
    rejected = await road.bring(bad)
    assert isinstance(rejected, Rejected)
    [row] = rejected.reason.bad_rows
    assert (row.line, "index row" in row.reason) == (3, True)
    assert isinstance(await road.append("id,name\n3,c\n"), Loaded)


REFUSED = {
    "a cast that does not exist": ("id type date using id::date", errors.CannotCoerce),
    "a row that is null": ("n set not null", errors.NotNullViolation),
    "a value out of range": ("id type smallint", errors.NumericValueOutOfRange),
    "a view that needs the column": ("n type bigint", errors.FeatureNotSupported),
}


@pytest.mark.parametrize(("change", "expected"), REFUSED.values(), ids=REFUSED)
def test_change_that_the_rows_do_not_bear_refuses_the_contract(
    warehouse_dsn: str, change: str, expected: type[psycopg.Error]
) -> None:
    with psycopg.connect(warehouse_dsn) as connection:
        connection.execute("create table t (id int, n int)")
        connection.execute("insert into t values (70000, null)")
        connection.execute("create view v as select n from t")
        with pytest.raises(DdlRefusedError) as refused, ddl_errors():
            connection.execute(f"alter table t alter column {change}".encode())
    assert isinstance(refused.value.__cause__, expected)


@pytest.mark.parametrize(
    "statement",
    ["alter table t drop column n", "alter table t add column ctid int", "alter table v add a int"],
)
def test_change_that_postgres_does_not_make_refuses_the_contract(
    warehouse_dsn: str, statement: str
) -> None:
    with psycopg.connect(warehouse_dsn) as connection:
        connection.execute("create table t (id int, n int)")
        connection.execute("create view v as select n from t")
        with pytest.raises(DdlRefusedError), ddl_errors():
            connection.execute(statement.encode())
