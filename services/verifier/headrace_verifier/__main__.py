"""Runs the verifier: `python -m headrace_verifier`."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from headrace_shared.service import run_process
from headrace_shared.settings import load_settings
from headrace_verifier.interval import Interval
from headrace_verifier.settings import VerifierSettings


def main() -> None:
    """Reads the settings, and verifies at the interval until a signal comes."""
    settings = load_settings(VerifierSettings)

    async def work(stop: asyncio.Event) -> None:
        await Interval(settings, timedelta(seconds=settings.interval_seconds)).run(stop)

    run_process("verifier", settings, work)


if __name__ == "__main__":
    main()
