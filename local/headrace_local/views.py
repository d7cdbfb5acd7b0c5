"""Journeys on a terminal (live lines), in a pipe (one line at each end), and as JSON lines."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from headrace_local import render
from headrace_local.follow import Journey
from headrace_shared.log_schema import State

_MOST_LIVE_LINES: Final = 8
_REFRESHES_PER_SECOND: Final = 10


class LinesView:
    """Prints each journey's line when it has ended, and once when it begins to wait.

    On a terminal those still under way stand below as live lines, which vanish at the end.
    Use it in a `with`.

    Args:
        ends_at_landing: whether being in the lake is the end that is shown.
        least_width: of the key's column, to align several views with each other.
    """

    def __init__(
        self,
        console: Console,
        journeys: Sequence[Journey],
        *,
        ends_at_landing: bool = False,
        least_width: int = 0,
    ) -> None:
        self._console = console
        self._journeys = journeys
        self._ends_at_landing = ends_at_landing
        room = console.width if console.is_terminal else None
        keys = (journey.planned.key for journey in journeys)
        self._width = render.key_width(keys, room, least=least_width)
        # What is known of a journey at the start was told by another view.
        self._told = {
            journey: render.journey_state(journey) for journey in journeys if journey.item
        }
        self._live = (
            Live(
                console=console,
                get_renderable=self._under_way,
                refresh_per_second=_REFRESHES_PER_SECOND,
                transient=True,
            )
            if console.is_terminal
            else None
        )

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start(refresh=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def update(self, journeys: Sequence[Journey]) -> None:
        """Prints what is worth a line of its own."""
        for journey in journeys:
            state = render.journey_state(journey)
            if self._told.get(journey) == state or not self._is_worth_telling(journey, state):
                continue
            self._told[journey] = state
            self.tell(journey)

    def tell(self, journey: Journey) -> None:
        """Prints one journey as it is now, with its reason."""
        self._console.print(self._line(journey), soft_wrap=True)
        reason = render.journey_reason(journey)
        if reason is not None:
            render.show(self._console, reason)

    def _is_worth_telling(self, journey: Journey, state: str) -> bool:
        if journey.ended or (self._ends_at_landing and state == render.LANDED):
            return True
        return state == State.WAITING

    def _line(self, journey: Journey) -> Text:
        waited = time.monotonic() - journey.landed_clock if journey.landed else 0.0
        return render.journey_line(journey, self._width, waited)

    def _under_way(self) -> RenderableType:
        going = [journey for journey in self._journeys if not self._is_over(journey)]
        lines = [self._line(journey) for journey in going[:_MOST_LIVE_LINES]]
        if len(going) > len(lines):
            lines.append(Text(f"and {len(going) - len(lines):,} more under way", style="dim"))
        return Group(*lines)

    def _is_over(self, journey: Journey) -> bool:
        return journey.ended or (self._ends_at_landing and journey.landed is not None)


class JsonView:
    """Prints one JSON object per journey when it has ended."""

    def __init__(self, console: Console, *, ends_at_landing: bool = False) -> None:
        self._console = console
        self._ends_at_landing = ends_at_landing
        self._told: set[Journey] = set()

    def update(self, journeys: Sequence[Journey]) -> None:
        """Prints those that have ended since."""
        for journey in journeys:
            at_end = journey.ended or (self._ends_at_landing and journey.landed is not None)
            if at_end and journey not in self._told:
                self.tell(journey)

    def tell(self, journey: Journey) -> None:
        """Prints one journey as it is now."""
        self._told.add(journey)
        self._console.print(Text(json.dumps(as_json(journey))), soft_wrap=True)


def as_json(journey: Journey) -> dict[str, Any]:
    """The API's item, and what only the uploader knows; `state` is there in any case."""
    told: dict[str, Any] = {
        "source": journey.planned.source,
        "key": journey.planned.key,
        "state": render.journey_state(journey),
    }
    if journey.landed is not None:
        landed = journey.landed
        told |= {
            "bucket": landed.bucket,
            "etag": landed.etag,
            "version_id": landed.version_id,
            "bytes": landed.size_bytes,
        }
    if journey.trouble is not None:
        error = journey.trouble
        told["error"] = {"what": error.what, "where": error.where, "what_to_do": error.what_to_do}
    if journey.item is not None:
        told |= journey.item.model_dump(mode="json", exclude_none=True)
    return told
