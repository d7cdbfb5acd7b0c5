"""Asks for another run of drops, on the bus, and follows each to its end.

However many they are, memory stays the same and the platform's queues short: they go in waves,
and the next begins when the last has ended.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, Protocol

from rich.console import Console
from rich.text import Text

from headrace_local import console
from headrace_local.api_client import DropItem
from headrace_local.destination import Planned
from headrace_local.figures import count
from headrace_local.follow import DropsApi, Journey, Pace, RunFollower
from headrace_local.runs import next_run, requested
from headrace_local.upload import Landed
from headrace_local.views import JsonView, LinesView
from headrace_shared.facts import Fact
from headrace_shared.log_schema import State

WAVE: Final = 500
_UNFINISHED_TOLD: Final = 10
_INTERRUPTED: Final = 130


class Publisher(Protocol):
    """Where requests go."""

    def publish(self, facts: list[Fact]) -> None:
        """Returns when every one is accepted."""


@dataclass(frozen=True)
class Asking:
    """What is asked for.

    Args:
        fact: makes the request for one drop from its item and run.
        goal: the state that is the good end.
        asked: the moment of the request, as a run.
    """

    fact: Callable[[DropItem, int], Fact]
    goal: State
    asked: int


@dataclass
class Tally:
    """How those that were asked for have ended so far."""

    states: Counter[State] = field(default_factory=Counter)
    rows: int = 0

    def add(self, item: DropItem, goal: State) -> None:
        """One more."""
        self.states[item.state] += 1
        if item.state is goal:
            self.rows += (item.rows_removed if goal is State.REVERTED else item.rows_loaded) or 0


class Reruns:
    """One run of the command: publish, follow, tell.

    Args:
        wait: whether to follow the drops to their end.
        patience_seconds: how long the end of a wave is waited for.
    """

    def __init__(
        self,
        api: DropsApi,
        bus: Publisher,
        asking: Asking,
        *,
        wait: bool,
        as_json: bool,
        patience_seconds: float,
    ) -> None:
        self._follower = RunFollower(api)
        self._bus = bus
        self._asking = asking
        self._wait = wait
        self._as_json = as_json
        self._patience = patience_seconds

    def run(self, items: Iterable[DropItem]) -> int:
        """The exit status: 0 if all came to the good end (or were asked for, where that is all)."""
        tally, started = Tally(), time.monotonic()
        for wave in _waves(items):
            journeys = [self._journey(item) for item in wave]
            self._publish(journeys)
            try:
                self._travel(journeys)
            except KeyboardInterrupt:
                self._tell_unfinished(journeys, "You stopped watching.")
                return _INTERRUPTED
            _count(journeys, tally, self._asking.goal)
            if self._wait and not all(journey.ended for journey in journeys):
                return self._give_up(journeys)
        self._conclude(tally, time.monotonic() - started)
        reached = State.REQUESTED if not self._wait else self._asking.goal
        return 0 if set(tally.states) <= {reached} else 1

    def _journey(self, item: DropItem) -> Journey:
        journey = Journey(Planned(str(item.drop_id), item.key, item.bytes))
        journey.item = requested(item, next_run(item, self._asking.asked))
        return journey

    def _publish(self, journeys: list[Journey]) -> None:
        items = [journey.item for journey in journeys if journey.item is not None]
        self._bus.publish([self._asking.fact(item, item.run) for item in items])
        for journey, item in zip(journeys, items, strict=True):
            journey.arrived(
                Landed(item.bucket, item.key, item.etag or "", item.version_id, item.bytes or 0)
            )

    def _travel(self, journeys: list[Journey]) -> None:
        out = console.out()
        view: JsonView | LinesView = JsonView(out) if self._as_json else LinesView(out, journeys)
        if not self._wait:
            for journey in journeys:
                view.tell(journey)
            return
        shown: AbstractContextManager[object] = (
            view if isinstance(view, LinesView) else nullcontext()
        )
        with shown:
            self._follow(journeys, view)

    def _follow(self, journeys: list[Journey], view: JsonView | LinesView) -> None:
        pace, begun = Pace(), time.monotonic()
        while True:
            started = time.monotonic()
            anything_new = self._follower.look(journeys)
            view.update(journeys)
            if all(journey.ended for journey in journeys):
                return
            if time.monotonic() - begun > self._patience:
                return
            looked = time.monotonic() - started
            time.sleep(pace.pause(anything_new=anything_new, look_seconds=looked))

    def _give_up(self, journeys: list[Journey]) -> int:
        if self._follower.unreachable is not None:
            raise self._follower.unreachable
        self._tell_unfinished(journeys, f"No end after {self._patience:g} seconds.")
        if len(journeys) == WAVE:
            text = f"Those after the first {WAVE} were not asked for: run the command again."
            console.err().print(Text(text), soft_wrap=True)
        return 1

    def _tell_unfinished(self, journeys: list[Journey], why: str) -> None:
        going = [journey for journey in journeys if not journey.ended]
        for journey in going if self._as_json else ():
            JsonView(console.out()).tell(journey)
        for journey in going[:_UNFINISHED_TOLD]:
            _tell_one(console.err(), journey, why)
        if len(going) > _UNFINISHED_TOLD:
            text = f"and {count(len(going) - _UNFINISHED_TOLD)} more: headrace status lists them"
            console.err().print(Text(text), soft_wrap=True)

    def _conclude(self, tally: Tally, seconds: float) -> None:
        if self._as_json or tally.states.total() < 2:
            return
        console.out().print(Text(self._summary(tally, seconds)), soft_wrap=True)

    def _summary(self, tally: Tally, seconds: float) -> str:
        total = tally.states.total()
        if not self._wait:
            return f"{count(total)} asked for; `headrace status` tells how they fare."
        goal = self._asking.goal
        others = "".join(
            f", {number:,} {state}"
            for state, number in sorted(tally.states.items())
            if state is not goal
        )
        return (
            f"{count(tally.states[goal])} of {count(total)} {goal}{others}: "
            f"{count(tally.rows)} rows in {seconds:.1f} s"
        )


def _waves(items: Iterable[DropItem]) -> Iterator[list[DropItem]]:
    left = iter(items)
    while wave := list(islice(left, WAVE)):
        yield wave


def _count(journeys: list[Journey], tally: Tally, goal: State) -> None:
    for journey in journeys:
        if journey.item is not None:
            tally.add(journey.item, goal)


def _tell_one(err: Console, journey: Journey, why: str) -> None:
    item = journey.item
    assert item is not None
    lines = (
        ("error", f"{why} The drop is {item.state}; it goes on without you."),
        ("where", f"s3://{item.bucket}/{item.key}"),
        ("to do", f"headrace show {item.drop_id}"),
    )
    for label, text in lines:
        err.print(Text.assemble((f"{label}: ", "bold"), text), soft_wrap=True)
