"""Load slots are shared out by table: laws of the decision, and of many decisions in a row."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from headrace_loader.shares import Waiter, next_waiter, share

TABLES = st.sampled_from("abcd")
SLOTS = st.integers(1, 9)


@dataclass
class Bench:
    """Slots that are given and given back, one decision after another."""

    slots: int
    waiters: list[Waiter] = field(default_factory=list)
    held: Counter[str] = field(default_factory=Counter)
    served: list[Waiter] = field(default_factory=list)
    arrived: int = 0

    def arrive(self, table: str) -> None:
        self.waiters.append(Waiter(table, self.arrived))
        self.arrived += 1

    def serve(self) -> None:
        allowed = share(self.slots)
        while one := next_waiter(self.waiters, self.held, self.slots, lambda _: allowed):
            self.waiters.remove(one)
            self.held[one.table] += 1
            self.served.append(one)

    def end(self, table: str) -> None:
        if self.held[table]:
            self.held[table] -= 1


STEPS = st.lists(st.tuples(st.sampled_from(["arrive", "end"]), TABLES), max_size=60)


@given(SLOTS)
def test_share_is_half_and_never_none(slots: int) -> None:
    assert 1 <= share(slots) <= max(1, slots / 2)


@given(SLOTS, STEPS)
def test_no_table_ever_holds_more_than_its_share(slots: int, steps: list[tuple[str, str]]) -> None:
    bench = Bench(slots)
    for step, table in steps:
        bench.arrive(table) if step == "arrive" else bench.end(table)
        bench.serve()
        assert max(bench.held.values(), default=0) <= share(slots)
        assert bench.held.total() <= slots


@given(SLOTS, STEPS)
def test_slot_is_idle_only_where_every_waiting_table_has_its_share(
    slots: int, steps: list[tuple[str, str]]
) -> None:
    bench = Bench(slots)
    for step, table in steps:
        bench.arrive(table) if step == "arrive" else bench.end(table)
        bench.serve()
        if bench.held.total() < slots:
            assert all(bench.held[one.table] == share(slots) for one in bench.waiters)


@given(st.integers(2, 9), st.integers(1, 40))
def test_table_that_comes_last_is_served_at_once(slots: int, backlog: int) -> None:
    bench = Bench(slots)
    for _ in range(backlog):
        bench.arrive("slow")
        bench.serve()
    bench.arrive("other")
    bench.serve()
    assert bench.served[-1].table == "other"


@given(SLOTS, STEPS)
def test_drops_of_one_table_are_served_in_their_order(
    slots: int, steps: list[tuple[str, str]]
) -> None:
    bench = Bench(slots)
    for step, table in steps:
        bench.arrive(table) if step == "arrive" else bench.end(table)
        bench.serve()
    for table in "abcd":
        orders = [one.order for one in bench.served if one.table == table]
        assert orders == sorted(orders)


@given(SLOTS, STEPS, TABLES)
def test_every_waiter_is_served_while_loads_end(
    slots: int, steps: list[tuple[str, str]], table: str
) -> None:
    bench = Bench(slots)
    for _, other in steps:
        bench.arrive(other)
        bench.serve()
    bench.arrive(table)
    mine, ends = bench.waiters[-1], 0
    bench.serve()
    while mine not in bench.served:
        # The load that began first ends, and with each end a flood of others comes in.
        bench.end(bench.served[ends].table)
        ends += 1
        for other in "abcd":
            bench.arrive(other)
        bench.serve()
        assert ends <= (1 + len(steps)) * (slots + 4)
