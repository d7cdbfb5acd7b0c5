"""The ledger's tables in the warehouse's own schema `headrace`, and how they come to be.

Migrations are numbered and only ever added to; each runs once, in one transaction, under a lock
that keeps loaders that start together apart.
"""

from __future__ import annotations

from typing import Final, LiteralString

import psycopg

from headrace_shared.logging import get_logger

_log = get_logger(__name__)

MIGRATIONS: Final[tuple[LiteralString, ...]] = (
    """
    create table headrace.ledger (
        drop_id uuid primary key,
        db_name text not null,
        table_name text not null,
        action text not null,
        bucket text not null,
        key text not null,
        version_id text,
        etag text not null,
        size_bytes bigint not null,
        outcome text not null check (outcome in ('loaded', 'rejected', 'superseded')),
        rows_loaded bigint not null default 0,
        rows_quarantined bigint not null default 0,
        contract_id uuid,
        superseded_by uuid,
        reason jsonb,
        landed_at timestamptz not null,
        started_at timestamptz not null,
        applied_at timestamptz not null
    );
    create index ledger_by_table on headrace.ledger (db_name, table_name, drop_id);
    create index ledger_truncates on headrace.ledger (db_name, table_name, drop_id)
        where action = 'truncate' and outcome = 'loaded';
    create table headrace.contracts (
        drop_id uuid primary key,
        db_name text not null,
        table_name text not null,
        contract jsonb not null,
        changes jsonb not null,
        applied_at timestamptz not null default clock_timestamp()
    );
    create index contracts_by_table on headrace.contracts (db_name, table_name, drop_id);
    -- Declared immutable though it reads a setting: so COPY's planner folds it into a constant,
    -- once a statement, instead of evaluating it for every row (which took 15 % of a load). It is
    -- used as a column default alone, and defaults are planned anew with every COPY.
    create function headrace.loading_drop_id() returns uuid immutable language sql as
        $$ select nullif(current_setting('headrace.drop_id', true), '')::uuid $$;
    comment on schema headrace is 'Headrace: which drops are applied. Read it, do not write it.';
    """,
    # Convergence; the columns are explained in docs/adr/0007-convergence.md.
    """
    alter table headrace.ledger
        add column sequencer text,
        add column request bigint not null default 0,
        add column run bigint not null default 0,
        add column contract_order uuid,
        add column unloaded boolean not null default false,
        add column reopened_at timestamptz,
        add column rows_removed bigint not null default 0,
        drop constraint ledger_outcome_check,
        add constraint ledger_outcome_check
            check (outcome in ('loaded', 'rejected', 'superseded', 'unloaded'));
    update headrace.ledger set contract_order = drop_id;
    alter table headrace.ledger alter column contract_order set not null;
    drop index headrace.ledger_truncates;
    create index ledger_overtaking on headrace.ledger (db_name, table_name, action, drop_id)
        where action in ('truncate', 'upsert');
    create index ledger_reopened on headrace.ledger (db_name, table_name, drop_id)
        where reopened_at is not null;
    create index ledger_by_key on headrace.ledger (bucket, key, drop_id);
    create unique index ledger_versions on headrace.ledger (bucket, key, version_id)
        where version_id is not null;
    alter table headrace.contracts
        add column accepted boolean not null default true,
        add column refused_by_rows boolean not null default false;
    create table headrace.tables (
        db_name text not null,
        table_name text not null,
        columns_before jsonb,
        primary key (db_name, table_name)
    );
    create table headrace.removed_keys (
        db_name text not null,
        table_name text not null,
        key jsonb not null,
        drop_id uuid not null
    );
    create index removed_keys_by_key on headrace.removed_keys using hash (key);
    create index removed_keys_by_table on headrace.removed_keys (db_name, table_name, drop_id);
    -- The contract of a place in the order: the latest accepted one that landed before it; else
    -- the first one, for which data that landed earlier waits.
    create function headrace.contract_of(of_db text, of_table text, place uuid) returns uuid
        stable language sql as $$
        select drop_id from headrace.contracts
        where db_name = of_db and table_name = of_table and accepted and not refused_by_rows
        order by drop_id <= place desc, case when drop_id <= place then drop_id end desc, drop_id
        limit 1
        $$;
    -- The run in which a drop is loaded again because more has become known.
    create function headrace.run_after(run bigint) returns bigint volatile language sql as
        $$ select greatest(run + 1, (extract(epoch from clock_timestamp()) * 1000)::bigint) $$;
    """,
    # How far each run of the verifier has come, and what it has found.
    """
    create table headrace.verifications (
        id bigint generated always as identity primary key,
        scope jsonb not null,
        position jsonb not null,
        counts jsonb not null,
        started_at timestamptz not null default clock_timestamp(),
        updated_at timestamptz not null default clock_timestamp(),
        finished_at timestamptz
    );
    -- The history of a table's contracts, without a look at all its drops.
    create index ledger_contracts on headrace.ledger (db_name, table_name, drop_id)
        where action = 'schema';
    """,
    # What is told of a drop beside its rows: the first of those that it has in the quarantine, and
    # how the tests ended.
    "alter table headrace.ledger add column told jsonb",
    # A drop that was taken out again is `reverted`.
    """
    alter table headrace.ledger rename column unloaded to reverted;
    alter table headrace.ledger drop constraint ledger_outcome_check;
    update headrace.ledger set outcome = 'reverted' where outcome = 'unloaded';
    alter table headrace.ledger add constraint ledger_outcome_check
        check (outcome in ('loaded', 'rejected', 'superseded', 'reverted'));
    """,
    # What a second upload of a key means (`Contract.on_reupload_of` is the same rule). Earlier
    # versions wrote the default into each contract, so that nobody can see who had asked for it.
    r"""
    create function headrace.on_reupload(contract jsonb, key text) returns text
        immutable language sql as $$
        select coalesce(contract ->> 'on_reupload', case when key ~
            '\.corrects-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(\.|$)'
            then 'replace' else 'append' end)
        $$;
    update headrace.contracts set contract = contract - 'on_reupload'
        where contract ->> 'on_reupload' = 'append';
    """,
    # Each reopening is published once, by the drop that caused it (docs/adr/0012-reprocessing.md).
    """
    alter table headrace.ledger
        add column reopened_by uuid,
        add column reopening_published_at timestamptz,
        add column reopenings bigint not null default 0,
        add column keys_fingerprint text;
    -- Which keys these took was not recorded.
    update headrace.ledger set keys_fingerprint = 'unknown'
        where action = 'upsert' and outcome in ('loaded', 'superseded');
    drop index headrace.ledger_reopened;
    create index ledger_unpublished on headrace.ledger (reopened_by, drop_id)
        where reopened_at is not null and reopening_published_at is null;
    alter table headrace.contracts add column reverted boolean not null default false;
    """,
    # The lake that the warehouse belongs to: one row.
    """
    create table headrace.lake (
        one boolean primary key default true check (one),
        name text not null,
        marked_at timestamptz not null default clock_timestamp()
    )
    """,
    # How the database fills each of the columns that a table had before Headrace knew it.
    "alter table headrace.tables add column fills jsonb",
    # The name of a drop's file, with the values of its key, where a route gave it one.
    """
    alter table headrace.ledger add column file text;
    """,
)

_LOCK: Final = 0x68656164_72616365 >> 1
"""The advisory lock of migrations: the bytes of `headrace`, made to fit a signed bigint."""


async def migrate(connection: psycopg.AsyncConnection[object]) -> None:
    """Brings the schema `headrace` to this version; does nothing where it is there already."""
    async with connection.transaction():
        await connection.execute("select pg_advisory_xact_lock(%s)", [_LOCK])
        await connection.execute("create schema if not exists headrace")
        await connection.execute(
            "create table if not exists headrace.migrations ("
            "number int primary key, applied_at timestamptz not null default clock_timestamp())"
        )
        cursor = await connection.execute("select count(*) from headrace.migrations")
        row = await cursor.fetchone()
        assert isinstance(row, tuple)
        for number in range(int(row[0]), len(MIGRATIONS)):
            await connection.execute(MIGRATIONS[number])
            await connection.execute(
                "insert into headrace.migrations (number) values (%s)", [number]
            )
            _log.info("ledger.migrated", number=number)
