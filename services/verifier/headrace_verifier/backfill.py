"""Lands what is in the lake already: `python -m headrace_verifier.backfill --prefix raw/`.

A task of its own, with the verifier's settings. The counts go to the standard output, progress to
the standard error. Exit status 0 when it is through; 1 when a part could not be reached.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from datetime import UTC, datetime
from typing import Final

from headrace_shared.errors import HeadraceError
from headrace_shared.logging import configure
from headrace_shared.settings import load_settings
from headrace_verifier.backfilling import Backfill, Counts, Watcher, backfill
from headrace_verifier.settings import VerifierSettings
from headrace_verifier.wiring import opened_parts

_PAUSE_SECONDS: Final = 5.0

_LEFT_ALONE: Final = {
    "folder": "placeholders of folders",
    "marker": "markers and hidden files",
    "no_route": "keys that no route fits",
}


def main() -> int:
    """Lands or counts, and prints the counts."""
    settings = load_settings(VerifierSettings)
    configure("verifier", settings)
    asked = _arguments().parse_args()
    wanted = Backfill(
        rules=settings.key_rules,
        prefix=asked.prefix,
        since=asked.since.astimezone(UTC) if asked.since else None,
        all_versions=asked.all_versions,
        dry_run=asked.dry_run,
    )
    try:
        counts = asyncio.run(_run(settings, wanted))
    except HeadraceError as error:
        sys.stderr.write(f"backfill: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("backfill: interrupted; run it again, it passes over what is known\n")
        return 130
    sys.stdout.write(
        f"{json.dumps(counts.as_json())}\n" if asked.json else described(counts, wanted)
    )
    return 0


def described(counts: Counts, wanted: Backfill) -> str:
    """The counts for people."""
    verb = "would be sent" if wanted.dry_run else "sent"
    lines = [
        f"{_objects(number)} ({counts.bytes[target] / 2**20:,.1f} MiB) {verb} to {target}"
        for target, number in sorted(counts.tables.items())
    ]
    lines += [
        f"{_objects(number)} left alone: {_LEFT_ALONE[why]}"
        for why, number in sorted(counts.left_alone.items())
    ]
    if counts.bad_keys:
        lines.append(f"{_objects(counts.bad_keys)} with keys that the router rejects")
    if counts.known:
        lines.append(f"{_objects(counts.known)} known as drops already")
    lines.append(f"{counts.listed:,} versions were listed")
    return "".join(f"{line}\n" for line in lines)


def _objects(number: int) -> str:
    return f"{number:,} object{'' if number == 1 else 's'}"


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="backfill", allow_abbrev=False)
    parser.add_argument("--prefix", default="")
    parser.add_argument("--since", type=datetime.fromisoformat, metavar="TIME")
    parser.add_argument("--all-versions", action="store_true")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--json", action="store_true")
    return parser


async def _run(settings: VerifierSettings, wanted: Backfill) -> Counts:
    async with opened_parts(settings) as (lake, ledger, log, bus):
        return await backfill(wanted, lake, ledger, log, bus, _Progress())


class _Progress(Watcher):
    """Writes now and then how many objects were listed."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def proceeds(self, counts: Counts) -> None:
        """See `Watcher`."""
        if time.monotonic() - self._last >= _PAUSE_SECONDS:
            self._last = time.monotonic()
            sys.stderr.write(f"backfill: {counts.listed:,} versions listed\n")


if __name__ == "__main__":
    sys.exit(main())
