"""A short search for a world in which loader and model disagree; and searches that must find one,
because something is broken on purpose."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from headrace_loader import ledger, reopening, transaction
from headrace_loader.ledger import Claim
from headrace_loader.reopening import NOTHING_REOPENED, Reopened
from headrace_loader.staging import Staging
from headrace_loader.standing import Standing, standing
from tests.model.bench import Bench, bench
from tests.model.machine import Machine
from tests.model.world import LAST_SECOND, File

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

EXAMPLES = 100
MUTANT_EXAMPLES = 400
QUIET = settings(
    database=None,
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
)


@pytest.fixture(scope="module")
def on(postgres_server: str) -> Iterator[Bench]:
    with bench(postgres_server) as made:
        yield made


class Plain(Machine):
    """Without contracts that change and without crashes: what is broken on purpose shows sooner."""

    crash = None  # type: ignore[assignment]
    land_contract = None  # type: ignore[assignment]
    land_and_crash = None  # type: ignore[assignment]


def search(
    on: Bench,
    examples: int,
    phases: Sequence[Phase],
    machine: type[Machine] = Machine,
    steps: int = 30,
) -> None:
    world = type("World", (machine,), {"on": on})
    run_state_machine_as_test(
        world,
        settings=settings(
            QUIET, max_examples=examples, stateful_step_count=steps, phases=tuple(phases)
        ),
    )


def test_tables_hold_what_the_model_says_in_every_world(on: Bench) -> None:
    search(on, EXAMPLES, list(Phase))
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
    world = type("World", (Machine,), {"on": on})()
    world.make_tables()
    world.rest()
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


MUTANTS: dict[str, tuple[object, str, object, type[Machine]]] = {
    "the ledger check": (ledger, "claim", forgets, Plain),
    "the truncate watermark": (transaction, "standing", sees_no_truncate, Plain),
    "the later upserts": (Staging, "leave_out_overtaken", sees_no_upsert, Plain),
    "the late contracts": (reopening, "misread", opens_nothing, Machine),
    "the rows that come back": (reopening, "earlier", gives_nothing_back, Plain),
}


@pytest.mark.parametrize("taken_out", MUTANTS)
def test_search_fails_where_something_is_taken_out(
    on: Bench, taken_out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, name, broken, machine = MUTANTS[taken_out]
    monkeypatch.setattr(place, name, broken)
    with pytest.raises(AssertionError):
        search(on, MUTANT_EXAMPLES, [Phase.generate], machine, steps=80)
