"""Verifies once: `python -m headrace_verifier.check --repair`.

A task of its own, with the service's settings. Differences go to the standard output, progress to
the standard error. Exit status 0 when nothing differs, or when all that differed is repaired; 3
when a difference is left; 1 when it could not be verified, with the reason on the standard error.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from headrace_shared.errors import HeadraceError
from headrace_shared.logging import configure
from headrace_shared.settings import load_settings
from headrace_verifier.differences import Difference, Kind
from headrace_verifier.settings import VerifierSettings
from headrace_verifier.verification import Plan, Tally, Walk
from headrace_verifier.wiring import verify

DIFFERENT: Final = 3

_SHOWN: Final = 20
"""Differences of one kind that people are shown one by one; programs get all of them."""

_TERMINAL_SECONDS: Final = 0.2
_PLAIN_SECONDS: Final = 10.0


def main() -> int:
    """Verifies, and tells."""
    settings = load_settings(VerifierSettings)
    configure("verifier", settings)
    asked = _arguments().parse_args()
    teller: Told | ToldAsJson = ToldAsJson() if asked.json else Told()
    try:
        tally = asyncio.run(verify(settings, _plan(asked, settings), teller, resume=asked.resume))
    except HeadraceError as error:
        sys.stderr.write(f"verify: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("verify: broken off; --resume goes on from here\n")
        return 130
    teller.concludes(tally)
    return DIFFERENT if tally.left else 0


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="verify", allow_abbrev=False)
    parser.add_argument("--repair", action="store_true")
    parser.add_argument("--grace", type=float, metavar="SECONDS")
    parser.add_argument("--since", type=datetime.fromisoformat, metavar="TIME")
    parser.add_argument("--prefix", default="")
    parser.add_argument("--no-rows", action="store_true")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--json", action="store_true")
    return parser


def _plan(asked: argparse.Namespace, settings: VerifierSettings) -> Plan:
    since = asked.since
    plan = replace(
        settings.plan,
        repair=asked.repair,
        prefix=asked.prefix,
        since=since.astimezone(UTC) if since else None,
        rows=not asked.no_rows,
    )
    return plan if asked.grace is None else replace(plan, grace=timedelta(seconds=asked.grace))


class Told:
    """For people: three lines a difference, and how far it has come."""

    def __init__(self) -> None:
        self._shown: Counter[Kind] = Counter()
        self._terminal = sys.stderr.isatty()
        self._begun = self._last = time.monotonic()

    def differs(self, difference: Difference, *, repaired: bool) -> None:
        """A difference."""
        self._shown[difference.kind] += 1
        if self._shown[difference.kind] > _SHOWN:
            return
        self._clear()
        drop = f" (drop {difference.drop_id})" if difference.drop_id else ""
        end = f"to do: {difference.remedy}"
        if repaired and difference.repair is not None:
            end = f"repaired: {difference.repair.detail_type} is published"
        sys.stdout.write(
            f"{difference.kind}: {difference.message}\n  where: {difference.where}{drop}\n  {end}\n"
        )
        sys.stdout.flush()

    def proceeds(self, walk: Walk, tally: Tally) -> None:
        """How far it has come, now and then."""
        pause = _TERMINAL_SECONDS if self._terminal else _PLAIN_SECONDS
        if time.monotonic() - self._last < pause:
            return
        self._last = time.monotonic()
        rate = tally.read.total() / (self._last - self._begun)
        read = _counted(tally.read[walk], walk)
        line = f"{read}, {_counted(tally.found.total(), 'differences')}, {rate:,.0f}/s"
        self._clear()
        sys.stderr.write(line if self._terminal else f"verify: {line}\n")
        sys.stderr.flush()

    def concludes(self, tally: Tally) -> None:
        """All of it in a few lines."""
        self._clear()
        for kind, number in self._shown.items():
            if number > _SHOWN:
                sys.stdout.write(f"{kind}: {number - _SHOWN:,} more; --json lists them all\n")
        read = ", ".join(_counted(tally.read[walk], walk) for walk in Walk)
        seconds = time.monotonic() - self._begun
        sys.stdout.write(f"verified {read} in {seconds:.1f} s\n")
        if tally.failed:
            failed = _counted(tally.failed, "drops")
            sys.stdout.write(f"{failed} failed, to be replayed or redriven: headrace dead loader\n")
        sys.stdout.write(f"{_concluded(tally)}\n")

    def _clear(self) -> None:
        if self._terminal:
            sys.stderr.write("\r\x1b[K")


class ToldAsJson:
    """For programs: a line a difference, and one with the counts at the end."""

    def differs(self, difference: Difference, *, repaired: bool) -> None:
        """A difference."""
        sys.stdout.write(f"{difference.as_json(repaired=repaired)}\n")

    def proceeds(self, walk: Walk, tally: Tally) -> None:
        """Says nothing."""

    def concludes(self, tally: Tally) -> None:
        """The counts."""
        sys.stdout.write(f"{json.dumps(tally.as_json() | {'left': tally.left})}\n")


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what if number != 1 else what.removesuffix('s')}"


def _concluded(tally: Tally) -> str:
    if not tally.found:
        return "nothing differs"
    kinds = ", ".join(f"{number:,} {kind}" for kind, number in tally.found.most_common())
    return f"{kinds}: {tally.repaired.total():,} repaired, {tally.left:,} left"


if __name__ == "__main__":
    sys.exit(main())
