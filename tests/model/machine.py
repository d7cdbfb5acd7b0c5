"""The real loader beside the model, in a world that Hypothesis makes up."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from psycopg import sql

from headrace_loader.loading import Loading
from headrace_router.routing import Routed, route
from headrace_shared.drop import Drop, drop_id, drop_id_bounds
from headrace_shared.errors import TransientError
from headrace_shared.facts import DropRouted
from tests.model import world
from tests.model.bench import Bench
from tests.model.model import Held, expected
from tests.model.world import DATABASE, EPOCH, LAST_SECOND, Contract, File, Landed, Request, Rows

TABLES: Final = 2
FIRST_CONTRACT: Final = "first.json"
_ROUNDS: Final = 400
_MOST_AT_ONCE: Final = 4
_MOST_STATEMENTS: Final = 32
"""More than a load takes: some come through."""

_WRONG_COUNTS: Final = """
    select drop_id, outcome, rows_loaded, rows_removed, number from (
        select drop_id, outcome, rows_loaded, rows_removed,
            (select count(*) from {table} where _drop_id = drop_id) as number,
            drop_id < coalesce((select drop_id from headrace.ledger
                where db_name = {db} and table_name = {name} and action = 'truncate'
                  and outcome = 'loaded' order by drop_id desc limit 1),
                '00000000-0000-0000-0000-000000000000') as behind
        from headrace.ledger
        where db_name = {db} and table_name = {name} and action <> 'schema'
    ) as counted
    where number <> case when outcome = 'loaded' and not behind
        then rows_loaded - rows_removed else 0 end
    """


@dataclass(frozen=True)
class Message:
    """Something that a loader is asked to do."""

    kind: Literal["load", "revert"]
    drop: Drop
    request: int = 0


class Machine(RuleBasedStateMachine):
    """One world. `on`: where it runs, set by whoever runs the machine.

    Which rule comes next never hangs on what the loaders did, for that is not the same twice.
    """

    on: Bench

    def __init__(self) -> None:
        super().__init__()
        self.tables = [f"m{next(self.on.numbers)}" for _ in range(TABLES)]
        self.landed: dict[str, list[Landed]] = {name: [] for name in self.tables}
        self.drops: list[Drop] = []
        self.requests: dict[UUID, Request] = {}
        self.sent: list[Message] = []
        self.pending: list[Message] = []
        self.published = self.published_in_vain = 0
        self.on.seen["worlds"] += 1

    @initialize()
    def make_tables(self) -> None:
        for name in self.tables:
            self._land(name, "schema", FIRST_CONTRACT, Contract(type_of_v="varchar(3)"), 0)

    @rule(
        table=st.integers(0, TABLES - 1), file=world.files, name=world.names, second=world.seconds
    )
    def land(
        self,
        table: int,
        file: File,
        name: str | None,
        second: int,
    ) -> None:
        action, rows = file
        self._land(self.tables[table], action, name or f"{next(self.on.numbers)}.csv", rows, second)

    @rule(table=st.integers(0, TABLES - 1), contract=world.contracts, second=world.seconds)
    def land_contract(self, table: int, contract: Contract, second: int) -> None:
        self._land(self.tables[table], "schema", "contract.json", contract, max(second, 1))

    @rule(which=st.integers(0), ago=st.integers(1, 30), reverts=st.booleans())
    def ask(self, which: int, ago: int, reverts: bool) -> None:
        # Without its first contract a table has none, and its drops would wait for one.
        drops = [one for one in self.drops if one.file != FIRST_CONTRACT]
        if not drops:
            return
        drop = drops[which % len(drops)]
        moment = EPOCH + timedelta(seconds=LAST_SECOND + ago)
        run = int(moment.timestamp() * 1000)
        known = self.requests.get(
            drop.drop_id, Request(0, reverts=False, contract_order=drop.drop_id)
        )
        if run == known.run:
            return
        order = known.contract_order
        if not reverts:
            order = max(order, drop_id_bounds(None, moment)[1])
        latest = max(known.run, run)
        self.requests[drop.drop_id] = Request(
            latest, reverts if latest == run else known.reverts, order
        )
        self._send(Message("revert" if reverts else "load", drop, run))

    @rule(which=st.integers(0))
    def deliver_again(self, which: int) -> None:
        self.pending.append(self.sent[which % len(self.sent)])

    @rule(which=st.lists(st.integers(0), min_size=1, max_size=_MOST_AT_ONCE))
    def deliver(self, which: list[int]) -> None:
        messages = self._taken(which)
        self._settle(self.on.do(self._at_once(messages)))

    @rule(
        which=st.lists(st.integers(0), min_size=1, max_size=_MOST_AT_ONCE),
        statement=st.integers(0, _MOST_STATEMENTS),
    )
    def crash(self, which: list[int], statement: int) -> None:
        """Whatever is pending is delivered, and one of the loads dies before a statement."""
        with self.on.crashes.before_statement(statement):
            self._settle(self.on.do(self._at_once(self._taken(which))))

    @rule(
        table=st.integers(0, TABLES - 1),
        content=st.one_of(world.files, world.contracts),
        name=world.names,
        second=world.seconds,
        statement=st.integers(0, _MOST_STATEMENTS),
    )
    def land_and_crash(
        self,
        table: int,
        content: File | Contract,
        name: str | None,
        second: int,
        statement: int,
    ) -> None:
        """A drop is loaded as it lands, and the loader dies before a statement of it."""
        if isinstance(content, Contract):
            self.land_contract(table, content, second)
        else:
            self.land(table, content, name, second)
        with self.on.crashes.before_statement(statement):
            self._settle(self.on.do(self._at_once([self.pending.pop()])))

    @rule(which=st.integers(0), publishes=st.booleans())
    def crash_after_commit(self, which: int, publishes: bool) -> None:
        """The load commits, and the process dies before it publishes what it reopened, or before
        it deletes the message."""
        messages = self._taken([which])
        self._settle(self.on.do(self._at_once(messages, publishes=publishes)))
        self.on.seen["crashes after the commit"] += len(messages)
        self.pending += messages

    @rule()
    def rest(self) -> None:
        for _ in range(_ROUNDS):
            if not self.pending:
                break
            messages = self._taken(range(min(_MOST_AT_ONCE, len(self.pending))))
            self._settle(self.on.do(self._at_once(messages)))
        assert not self.pending, f"never at rest: {self.pending}"
        for name in self.tables:
            self._compare(name)
        self._compare_messages()
        self.on.seen["comparisons"] += TABLES

    def teardown(self) -> None:
        self.rest()

    def _land(
        self,
        table: str,
        action: str,
        name: str,
        content: Contract | Rows,
        second: int,
    ) -> None:
        key, number = f"{DATABASE}/{action}/{table}/{name}", next(self.on.numbers)
        body = content.document if isinstance(content, Contract) else world.csv(content)
        drop = _drop(key, number, second, len(body))
        self.on.lake.files[drop.drop_id] = body
        self.landed[table].append(Landed(drop.drop_id, action, key, content))
        self.drops.append(drop)
        self._send(Message("load", drop))
        self.on.seen["drops"] += 1

    def _send(self, message: Message) -> None:
        self.sent.append(message)
        self.pending.append(message)

    def _taken(self, which: Sequence[int]) -> list[Message]:
        return [self.pending.pop(one % len(self.pending)) for one in which if self.pending]

    async def _at_once(
        self, messages: Sequence[Message], *, publishes: bool = True
    ) -> list[list[Message]]:
        loaders = self.on.loaders
        work = [
            self._one(loaders[place % len(loaders)], one, publishes=publishes)
            for place, one in enumerate(messages)
        ]
        self.on.seen["deliveries"] += len(messages)
        return list(await asyncio.gather(*work))

    async def _one(self, loader: Loading, message: Message, *, publishes: bool) -> list[Message]:
        """What has to be delivered next: what was published, and the message itself where it
        failed."""
        drop, published = message.drop, list[Message]()

        async def publish(page: Sequence[DropRouted]) -> None:
            published.extend(Message("load", routed.drop, routed.request) for routed in page)
            self.published += len(page)

        try:
            if message.kind == "revert":
                outcome = await loader.revert(drop, message.request)
            else:
                outcome = await loader.load(drop, 1, message.request)
            if publishes and (outcome.reopens or outcome.repeated):
                await loader.publish_reopened(drop, publish)
        except TransientError:
            # At the most what this try published was not noted as published.
            self.published_in_vain += len(published)
            return [message, *published]
        return published

    def _settle(self, answers: Sequence[Sequence[Message]]) -> None:
        # To the end: a message that waits for another one comes after it.
        self.pending += [message for answer in answers for message in answer]

    def _compare_messages(self) -> None:
        """A drop that has to be loaded again is published once for each reopening."""
        statement = "select sum(reopenings) from headrace.ledger where table_name = any(%s)"
        row = self.on.connection.execute(statement, [self.tables]).fetchone()
        reopenings = int(row[0] or 0) if row else 0
        assert self.published <= reopenings + self.published_in_vain
        self.on.seen["most reopenings"] = max(self.on.seen["most reopenings"], reopenings)

    def _compare(self, name: str) -> None:
        landed = self.landed[name]
        wanted = expected(landed, self.requests)
        ended = self._ended(name)
        assert ended.keys() == {one.drop_id for one in landed}
        data = {one.drop_id for one in landed if not isinstance(one.content, Contract)}
        assert self._rows(name) == wanted.rows
        for ident, outcome in ended.items():
            assert (outcome == "reverted") == (ident in wanted.reverted), (ident, outcome)
        for ident in data - wanted.reverted:
            rejected = ended[ident] == "rejected"
            if ended[ident] != "superseded":
                assert rejected == (ident in wanted.rejected), (ident, ended[ident])
        table, texts = sql.Identifier(DATABASE, name), (sql.Literal(DATABASE), sql.Literal(name))
        statement = sql.SQL(_WRONG_COUNTS).format(table=table, db=texts[0], name=texts[1])
        assert self.on.connection.execute(statement).fetchall() == []

    def _ended(self, name: str) -> dict[UUID, str]:
        rows = self.on.connection.execute(
            "select drop_id, outcome, reopened_at from headrace.ledger where table_name = %s",
            [name],
        ).fetchall()
        assert all(reopened_at is None for _, _, reopened_at in rows)
        return {ident: outcome for ident, outcome, _ in rows}

    def _has_v(self, name: str) -> bool:
        found = self.on.connection.execute(
            "select from information_schema.columns "
            "where table_schema = %s and table_name = %s and column_name = 'v'",
            [DATABASE, name],
        )
        return found.fetchone() is not None

    def _rows(self, name: str) -> Counter[Held]:
        statement = sql.SQL(
            "select k::text, {}, case when d then 't' when not d then 'f' end, _drop_id from {}"
        ).format(
            sql.SQL("v" if self._has_v(name) else "null::text"), sql.Identifier(DATABASE, name)
        )
        return Counter(self.on.connection.execute(statement).fetchall())


def _drop(key: str, number: int, second: int, size: int) -> Drop:
    landed_at, sequencer = EPOCH + timedelta(seconds=second), f"{number:018x}"
    made = Drop(
        drop_id=drop_id(
            landed_at=landed_at,
            sequencer=sequencer,
            bucket="lake",
            key=key,
            version_id=None,
            etag=f"e{number}",
        ),
        bucket="lake",
        key=key,
        etag=f"e{number}",
        size_bytes=size,
        sequencer=sequencer,
        landed_at=landed_at,
    )
    routed = route(made, {"*"})
    assert isinstance(routed, Routed), routed
    return routed.drop
