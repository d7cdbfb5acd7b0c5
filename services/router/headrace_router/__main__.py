"""Runs the router: `python -m headrace_router`."""

from __future__ import annotations

from headrace_router.handler import RouterHandler
from headrace_router.settings import RouterSettings
from headrace_shared.inbox import Handler
from headrace_shared.service import Parts, run_service
from headrace_shared.settings import load_settings


def main() -> None:
    """Reads the settings, wires the parts, and serves until a signal comes."""
    settings = load_settings(RouterSettings)

    async def build(_: Parts) -> Handler:
        return RouterHandler(settings.databases, settings.key_rules)

    run_service("router", settings, build)


if __name__ == "__main__":
    main()
