"""Several files at once: uploaded by a few threads, followed by one loop, shown as they go."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from typing import Final, Protocol

from headrace_local.api_client import DropItem
from headrace_local.errors import CommandError
from headrace_local.follow import Follower, Journey, Pace
from headrace_local.upload import Landed, Uploader
from headrace_local.upload_source import UploadStopped
from headrace_shared.log_schema import State

_UPLOADS_AT_ONCE: Final = 4
_UPLOAD_LOOK_SECONDS: Final = 0.1
_SETTLE_SECONDS: Final = 15.0


class View(Protocol):
    """Whoever shows the journeys."""

    def update(self, journeys: Sequence[Journey]) -> None:
        """Something may have changed."""


class Travel:
    """Takes files into the lake and, with a follower, to their end states.

    Args:
        follower: None to be content when the files are in the lake.
        stop: once set, uploads are given up and nothing more is waited for.
        patience_seconds: how long after the last landing an end is waited for.
        until_waiting: whether a drop that waits (for its contract) is followed no further.
        settle_seconds: how long answers of S3 are waited for once nothing more is sent.

    Attributes:
        is_settled: False once an upload was left under way in its thread.
    """

    def __init__(
        self,
        uploader: Uploader,
        follower: Follower | None,
        view: View,
        stop: threading.Event,
        *,
        patience_seconds: float,
        until_waiting: bool = False,
        settle_seconds: float = _SETTLE_SECONDS,
    ) -> None:
        self._uploader = uploader
        self._follower = follower
        self._view = view
        self._stop = stop
        self._patience = patience_seconds
        self._until_waiting = until_waiting
        self._settle_seconds = settle_seconds
        self.is_settled = True

    def run(self, journeys: Sequence[Journey]) -> None:
        """Returns when every journey has ended, patience has, or `stop` is set; then each journey
        knows whether its file is in the lake, or that this is not known."""
        pool = ThreadPoolExecutor(_UPLOADS_AT_ONCE, thread_name_prefix="upload")
        uploads = {
            pool.submit(self._uploader.upload, journey.planned, journey.note): journey
            for journey in journeys
        }
        try:
            self._follow(journeys, uploads)
        except BaseException:
            self._stop.set()
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            self._settle(uploads)
            self._view.update(journeys)

    def _settle(self, uploads: dict[Future[Landed], Journey]) -> None:
        """Waits for the answers to what S3 has been sent; a second Ctrl-C ends the waiting."""
        with suppress(KeyboardInterrupt):
            wait(uploads, self._settle_seconds)
        _collect(uploads)
        for journey in uploads.values():
            self.is_settled = False
            journey.trouble = self._uploader.unknown(
                journey.planned, "S3 has not answered yet to what it was sent."
            )

    def follow(self, journeys: Sequence[Journey]) -> None:
        """As `run`, for files that are in the lake already."""
        self._follow(journeys, {})

    def _follow(self, journeys: Sequence[Journey], uploads: dict[Future[Landed], Journey]) -> None:
        pace, last_landing = Pace(), time.monotonic()
        while not self._stop.is_set():
            if _collect(uploads):
                last_landing = time.monotonic()
            started = time.monotonic()
            anything_new = self._follower.look(journeys) if self._follower else False
            self._view.update(journeys)
            if all(self._is_done(journey) for journey in journeys):
                return
            if not uploads and time.monotonic() - last_landing > self._patience:
                return
            pause = pace.pause(anything_new=anything_new, look_seconds=time.monotonic() - started)
            self._stop.wait(min(pause, _UPLOAD_LOOK_SECONDS) if uploads else pause)

    def _is_done(self, journey: Journey) -> bool:
        if self._follower is None:
            return journey.landed is not None or journey.ended
        return journey.ended or (self._until_waiting and _is_waiting(journey.item))


def _is_waiting(item: DropItem | None) -> bool:
    return item is not None and item.state is State.WAITING


def _collect(uploads: dict[Future[Landed], Journey]) -> bool:
    """Takes the uploads that ended over into their journeys; whether there were any."""
    done = [upload for upload in uploads if upload.done()]
    for upload in done:
        journey = uploads.pop(upload)
        try:
            journey.arrived(upload.result())
        except (UploadStopped, CancelledError):
            continue
        except CommandError as error:
            journey.trouble = error
    return bool(done)
