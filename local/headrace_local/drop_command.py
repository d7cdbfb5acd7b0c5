"""`headrace drop`: files into the lake, and what became of each."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from shlex import quote
from typing import Annotated, Final

import typer
from rich.text import Text

from headrace_local import console
from headrace_local.api_client import ApiClient
from headrace_local.destination import Planned, plan
from headrace_local.errors import UserError
from headrace_local.figures import count, plain
from headrace_local.follow import Follower, Journey
from headrace_local.journeys import Travel
from headrace_local.repeats import warnings_of_repeats
from headrace_local.target import API_VARIABLE, BUCKET_VARIABLE, Target, find_target, lake_client
from headrace_local.upload import Uploader
from headrace_local.views import JsonView, LinesView
from headrace_shared.log_schema import State

_PATIENCE_SECONDS: Final = 300.0

_CLOCK_MARGIN: Final = timedelta(seconds=2)
"""HTTP dates and AWS's landing times are cut to whole seconds."""

_INTERRUPTED: Final = 130


def drop(  # noqa: PLR0913 - options of a command
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE... DESTINATION",
            help="Files (- is standard input), then where they go: db_name/action/table_name/ "
            "with a slash at the end, or the whole key of a single file. "
            "Actions: append, truncate, upsert, schema.",
            show_default=False,
        ),
    ],
    *,
    name: Annotated[
        str | None, typer.Option(help="Another file name in the lake, for a single file.")
    ] = None,
    bucket: Annotated[
        str | None,
        typer.Option(
            help="The lake's bucket; whoever names one speaks to AWS with its own credentials.",
            envvar=BUCKET_VARIABLE,
        ),
    ] = None,
    api_url: Annotated[
        str | None, typer.Option(help="Where the API is.", envvar=API_VARIABLE)
    ] = None,
    endpoint_url: Annotated[str | None, typer.Option(help="Where S3 is, if not at AWS.")] = None,
    timeout: Annotated[
        float, typer.Option(help="Seconds to wait for an end, after the last upload.", min=0)
    ] = _PATIENCE_SECONDS,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Fail (exit status 1) if any row of a file is quarantined."),
    ] = False,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Upload only; do not ask what becomes of it.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line for each drop.")
    ] = False,
) -> None:
    """Drop files into the lake and follow each one into the warehouse.

    Exit status: 0 if all were loaded, 1 if one was not (or, with --strict, a row of one), 2 for
    a mistake in the call, 130 after Ctrl-C.

    A contract first: headrace drop user_data.json dev/schema/user_data/

    Then its data: headrace drop users.csv more.csv dev/append/user_data/
    """
    if len(paths) < 2:
        raise UserError(
            "The destination is missing.",
            f"headrace drop {' '.join(paths)}",
            "The last argument is where files go: headrace drop users.csv dev/append/user_data/",
        )
    target = find_target(bucket, api_url, endpoint_url)
    destination = _within(target.bucket, paths[-1])
    planned = plan(paths[:-1], destination, name)
    if strict and no_wait:
        raise UserError(
            "Quarantined rows show only once a file is loaded.",
            "--strict --no-wait",
            "Leave one of the two options out.",
        )
    errand = Errand(
        target, wait=not no_wait, as_json=as_json, patience_seconds=timeout, strict=strict
    )
    raise typer.Exit(errand.run(planned))


def _within(bucket: str, destination: str) -> str:
    """The destination as a key; an S3 address of this very bucket is taken too."""
    if not destination.startswith("s3://"):
        return destination
    named, _, key = destination.removeprefix("s3://").partition("/")
    if named != bucket:
        raise UserError(
            "The destination is in another bucket than the lake.",
            f"{destination}; the lake is {bucket}",
            f"Leave s3://{named}/ out, or name the bucket: --bucket {named} --api-url URL",
        )
    return key


class Errand:
    """One run of the command: check, upload, follow, tell."""

    def __init__(
        self,
        target: Target,
        *,
        wait: bool,
        as_json: bool,
        patience_seconds: float,
        strict: bool = False,
    ) -> None:
        self._target = target
        self._wait = wait
        self._as_json = as_json
        self._patience = patience_seconds
        self._strict = strict
        self._stop = threading.Event()
        self.is_settled = True

    def run(self, planned: Sequence[Planned]) -> int:
        """The exit status; 0 only if all were loaded (or uploaded, where that is all)."""
        with interruptible(self._stop):
            return self._run(planned)

    def _run(self, planned: Sequence[Planned]) -> int:
        uploader = Uploader(lake_client(self._target), self._target.bucket, self._stop)
        clock_skew = uploader.check()
        journeys = [Journey(file) for file in planned]
        if not self._wait:
            self._warn_of_repeats(uploader, planned, None)
            self._travel(uploader, None, journeys)
            if self._stop.is_set():
                return self._interrupted(journeys)
            return 0 if all(journey.landed for journey in journeys) else 1
        with ApiClient(self._api_url()) as api:
            start = datetime.now(UTC) + clock_skew - _CLOCK_MARGIN
            follower = Follower.before_upload(api, start)
            self._warn_of_repeats(uploader, planned, api)
            started = time.monotonic()
            self._travel(uploader, follower, journeys)
            seconds = time.monotonic() - started
        if self._stop.is_set() and not all(journey.ended for journey in journeys):
            return self._interrupted(journeys)
        return self._conclude(journeys, follower, seconds)

    def _warn_of_repeats(
        self, uploader: Uploader, planned: Sequence[Planned], api: ApiClient | None
    ) -> None:
        contract_of = api.contract_in_force if api is not None else None
        for warning in warnings_of_repeats(uploader, planned, contract_of, self._stop):
            line = Text.assemble(("warning: ", "bold yellow"), plain(warning))
            console.err().print(line, soft_wrap=True)

    def _interrupted(self, journeys: Sequence[Journey]) -> int:
        self._tell_unfinished(journeys, "You stopped watching.")
        if not self.is_settled:
            _leave(_INTERRUPTED)
        return _INTERRUPTED

    def _api_url(self) -> str:
        if self._target.api_url is None:
            raise UserError(
                "Nobody can be asked what becomes of the drop.",
                f"bucket {self._target.bucket}, no address of the API",
                f"Give --api-url or {API_VARIABLE}, or only upload: --no-wait",
            )
        return self._target.api_url

    def _travel(
        self, uploader: Uploader, follower: Follower | None, journeys: Sequence[Journey]
    ) -> None:
        at_landing = follower is None
        if self._as_json:
            view: JsonView | LinesView = JsonView(console.out(), ends_at_landing=at_landing)
        else:
            view = LinesView(console.out(), journeys, ends_at_landing=at_landing)
        shown: AbstractContextManager[object] = (
            view if isinstance(view, LinesView) else nullcontext()
        )
        travel = Travel(uploader, follower, view, self._stop, patience_seconds=self._patience)
        with shown:
            travel.run(journeys)
        self.is_settled = travel.is_settled

    def _conclude(self, journeys: Sequence[Journey], follower: Follower, seconds: float) -> int:
        if follower.unreachable is not None:
            raise follower.unreachable
        if not all(journey.ended for journey in journeys):
            self._tell_unfinished(journeys, f"No end after {self._patience:g} seconds.")
        elif len(journeys) > 1 and not self._as_json:
            console.out().print(Text(summary(journeys, seconds)), soft_wrap=True)
        return 0 if all(map(self._is_good, journeys)) else 1

    def _is_good(self, journey: Journey) -> bool:
        item = journey.item
        return journey.loaded and not (self._strict and item is not None and item.rows_quarantined)

    def _tell_unfinished(self, journeys: Sequence[Journey], why: str) -> None:
        """What is known of those that have not ended, and where to look further."""
        if self._as_json:
            view = JsonView(console.out())
            for journey in journeys:
                if not journey.ended:
                    view.tell(journey)
        for journey in journeys:
            if not journey.ended:
                _tell_one(journey, why, self._target)


@contextmanager
def interruptible(stop: threading.Event) -> Iterator[None]:
    """Within it the first Ctrl-C sets `stop`, so that what is under way comes to a known state; a
    second one raises KeyboardInterrupt."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _leave(status: int) -> None:
    """Ends the process while an upload waits for S3 in a thread, which Python would wait for."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status)


def _tell_one(journey: Journey, why: str, target: Target) -> None:
    key = journey.planned.key
    if journey.landed is None:
        what = f"{why} Nothing of the file is in the lake."
        remedy = "Drop it again."
    elif journey.item is None:
        what = f"{why} The file is in the lake, and the log has nothing of it yet."
        remedy = (
            f"Do not drop it again; see what becomes of it: headrace show {quote(key)}. If that "
            "finds nothing after a minute, look whether the router and the logger run "
            "(`headrace up -v`; on AWS: the bucket's EventBridge notifications and the services)."
        )
    else:
        what = (
            f"{why} The drop is {journey.item.state}{_because(journey)}; it is loaded without you."
        )
        remedy = f"headrace show {journey.item.drop_id}"
    lines = (("error", what), ("where", f"s3://{target.bucket}/{key}"), ("to do", remedy))
    for label, text in lines:
        console.err().print(Text.assemble((f"{label}: ", "bold"), text), soft_wrap=True)


def _because(journey: Journey) -> str:
    item = journey.item
    if item is None or item.reason is None:
        return ""
    again = f", tried again at {item.retry_at:%H:%M:%S} UTC" if item.retry_at else ""
    return f" ({item.reason.message.rstrip('.')}{again})"


def summary(journeys: Sequence[Journey], seconds: float) -> str:
    """`12 of 14 loaded, 1,200 rows, in 3.1 s`."""
    loaded = [journey.item for journey in journeys if journey.loaded and journey.item]
    rows = sum(item.rows_loaded or 0 for item in loaded)
    bad = sum(item.rows_quarantined or 0 for item in loaded)
    others = {
        state: number
        for state in (State.REJECTED, State.FAILED, State.SUPERSEDED)
        if (number := sum(j.item is not None and j.item.state is state for j in journeys))
    }
    told = "".join(f", {number:,} {state}" for state, number in others.items())
    return (
        f"{count(len(loaded))} of {count(len(journeys))} loaded{told}: "
        f"{count(rows)} rows in {seconds:.1f} s"
        f"{f', {count(bad)} quarantined' if bad else ''}"
    )
