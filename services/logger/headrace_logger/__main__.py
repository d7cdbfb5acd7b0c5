"""Runs the logger: `python -m headrace_logger`."""

from __future__ import annotations

from headrace_logger.dynamodb import DynamoDBLog
from headrace_logger.handler import LoggerHandler
from headrace_logger.progress import Progress
from headrace_logger.settings import LoggerSettings
from headrace_shared.inbox import Handler
from headrace_shared.service import Parts, run_service
from headrace_shared.settings import load_settings


def main() -> None:
    """Reads the settings, wires the parts, and serves until a signal comes."""
    settings = load_settings(LoggerSettings)

    async def build(parts: Parts) -> Handler:
        log = DynamoDBLog(await parts.clients.open("dynamodb"), settings.log_table)
        handler = LoggerHandler(log, expiry_days=settings.log_expiry_days, writes=settings.writes)
        progress = Progress(handler.in_hand, parts.queue, log)
        await parts.stack.enter_async_context(progress.noted())
        return handler

    run_service("logger", settings, build)


if __name__ == "__main__":
    main()
