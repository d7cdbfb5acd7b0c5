"""The log of `headrace up`'s Postgres has no values of rows, whatever Postgres refuses."""

from __future__ import annotations

from contextlib import suppress

import psycopg
import pytest

from tests.real_parts import postgres_at

pytestmark = pytest.mark.integration

SECRET = "a-secret-value"

REFUSED = (
    f"select '{SECRET}'::int",
    f"insert into kept (id, name) values (1, '{SECRET}')",
    f"insert into kept (id, name) values (2, null) /* {SECRET} */",
    f"selekt '{SECRET}'",
    f"do $$ begin raise warning '{SECRET}'; raise exception '{SECRET}'; end $$",
)


def test_refused_values_are_not_in_the_log() -> None:
    with postgres_at(None) as (cluster, port):
        dsn = cluster.dsn(port)
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("create table kept (id int primary key, name text not null)")
            connection.execute("insert into kept values (1, 'x')")
            for statement in REFUSED:
                with pytest.raises(psycopg.Error):
                    connection.execute(statement.encode())
            with pytest.raises(psycopg.Error):
                connection.execute("select (%s || 'x')::int", [SECRET])
            with (
                pytest.raises(psycopg.Error),
                connection.cursor().copy("copy kept from stdin") as copy,
            ):
                copy.write(f"7\t{SECRET}\n{SECRET}\t{SECRET}\n")
        with suppress(psycopg.OperationalError):
            psycopg.connect(dsn.replace(cluster.password, "wrong"))
        log = (cluster.server.pgdata.parent / "postgres.log").read_text()
    assert "password authentication failed" in log
    assert SECRET not in log
