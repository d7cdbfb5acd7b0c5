"""A short search for a world in which loader and model disagree; and worlds in which they must,
because something is broken on purpose."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from headrace_loader import ledger, reopening, transaction
from headrace_loader.ledger import Claim
from headrace_loader.reopening import NOTHING_REOPENED, Reopened
from headrace_loader.staging import Staging
from headrace_loader.standing import Standing, standing
from tests.model.bench import Bench, bench
from tests.model.machine import Machine
from tests.model.world import LAST_SECOND, Contract, File

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

EXAMPLES = 100
QUIET = settings(
    database=None,
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
    max_examples=EXAMPLES,
    stateful_step_count=30,
)


@pytest.fixture(scope="module")
def on(postgres_server: str) -> Iterator[Bench]:
    with bench(postgres_server) as made:
        yield made


def test_tables_hold_what_the_model_says_in_every_world(on: Bench) -> None:
    run_state_machine_as_test(type("World", (Machine,), {"on": on}), settings=QUIET)
    assert on.seen["worlds"] >= EXAMPLES
    assert on.crashes.at.total() > EXAMPLES / 4
    assert on.seen["comparisons"] > EXAMPLES


LOADS: dict[str, tuple[File, set[str]]] = {
    "append": (("append", (("1", "a", ""), ("2", "bb", ""))), {"select", "copy", "insert"}),
    "truncate": (
        ("truncate", (("1", "a", ""),)),
        {"select", "copy", "insert", "truncate", "update"},
    ),
    "upsert": (
        ("upsert", (("1", "a", ""), ("2", "", "t"))),
        {"select", "copy", "insert", "delete", "update"},
    ),
}
MOST_STATEMENTS = 100


@pytest.mark.parametrize("action", LOADS)
def test_a_load_survives_a_crash_before_each_of_its_statements(on: Bench, action: str) -> None:
    file, writes = LOADS[action]
    world = lived_in(on, lambda _: None)
    on.crashes.hit.clear()
    for statement in range(MOST_STATEMENTS):
        before = on.crashes.at.total()
        world.land_and_crash(0, file, None, second=statement % LAST_SECOND, statement=statement)
        world.rest()
        if on.crashes.at.total() == before:
            break
    assert statement < MOST_STATEMENTS - 1, "the load never comes to its end"
    assert on.crashes.hit.keys() >= writes


CLAIM = ledger.claim


async def forgets(*asked: Any) -> Claim:
    """The ledger's check taken out: what is done already is done again."""
    claimed = await CLAIM(*asked)
    if isinstance(claimed, Claim):
        return replace(claimed, before=None)
    _, drop, _, request = asked
    return Claim(claimed.run, ledger.contract_order(drop, request), before=None)


async def sees_no_truncate(*asked: Any) -> Standing:
    """The watermark taken out: a drop that a truncate has overtaken is loaded all the same."""
    return replace(await standing(*asked), overtaken_by=None)


async def sees_no_upsert(self: Staging) -> None:
    """Keys that a later upsert has set are not left out."""


async def opens_nothing(*_: Any, **__: Any) -> Reopened:
    """A contract that comes late changes nothing for those that were read before it."""
    return NOTHING_REOPENED


async def gives_nothing_back(*_: Any) -> int:
    """What a reverted truncate or upsert had removed stays away."""
    return 0


def is_delivered_twice_at_once(world: Machine) -> None:
    world.land(0, ("append", ROW), None, 1)
    world.rest()
    world.ask(0, ago=1, reverts=False)
    world.pending *= 2
    world.deliver([0, 0])


def comes_after_a_later_truncate(world: Machine) -> None:
    world.land(0, ("truncate", ROW), None, 5)
    world.rest()
    world.land(0, ("append", ROW), None, 2)


def comes_after_a_later_upsert(world: Machine) -> None:
    world.land(0, ("upsert", ROW), None, 5)
    world.rest()
    world.land(0, ("append", ROW), None, 2)


def is_misread_before_its_contract_comes(world: Machine) -> None:
    world.land(0, ("append", (("1", "nil", ""),)), None, 5)
    world.rest()
    world.land_contract(0, Contract(null="nil"), 2)


def was_replaced_by_what_is_reverted(world: Machine) -> None:
    world.land(0, ("append", ROW), None, 1)
    world.rest()
    world.land(0, ("upsert", ROW), None, 2)
    world.rest()
    world.ask(1, ago=1, reverts=True)


ROW = (("1", "a", ""),)
TAKEN_OUT: dict[str, tuple[object, str, object, Callable[[Machine], None]]] = {
    "the ledger check": (ledger, "claim", forgets, is_delivered_twice_at_once),
    "the truncate watermark": (
        transaction,
        "standing",
        sees_no_truncate,
        comes_after_a_later_truncate,
    ),
    "the later upserts": (
        Staging,
        "leave_out_overtaken",
        sees_no_upsert,
        comes_after_a_later_upsert,
    ),
    "the late contracts": (
        reopening,
        "misread",
        opens_nothing,
        is_misread_before_its_contract_comes,
    ),
    "the rows that come back": (
        reopening,
        "earlier",
        gives_nothing_back,
        was_replaced_by_what_is_reverted,
    ),
}


@pytest.mark.parametrize("taken_out", TAKEN_OUT)
def test_model_sees_what_is_taken_out(
    on: Bench, taken_out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a world that needs it: whether a search meets such a world is a matter of chance."""
    place, name, broken, happens = TAKEN_OUT[taken_out]
    lived_in(on, happens).rest()
    monkeypatch.setattr(place, name, broken)
    with pytest.raises(AssertionError):
        lived_in(on, happens).rest()


def lived_in(on: Bench, happens: Callable[[Machine], None]) -> Machine:
    world: Machine = type("World", (Machine,), {"on": on})()
    world.make_tables()
    world.rest()
    happens(world)
    return world
