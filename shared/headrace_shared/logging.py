"""Log lines: one JSON object per event on stdout, or coloured text on a terminal.

Names of events are listed in `events.py`. Never log row contents or credentials.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, Final

import structlog

from headrace_shared.drop import Drop
from headrace_shared.metrics import EmbeddedMetrics
from headrace_shared.settings import ServiceSettings
from headrace_shared.tracing import trace_id

# Of a frame's variables, one may be a password or somebody's row.
_WITHOUT_LOCALS: Final = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)


def configure(service: str, settings: ServiceSettings) -> None:
    """Sets logging up for this process; libraries' own lines (warning and up) go the same way."""
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(service=service)
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared_processors(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_shared_processors(),
            processors=_renderers(settings.log_format, settings.metrics_stack),
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    for name in ("headrace_shared", f"headrace_{service}"):
        logging.getLogger(name).setLevel(level)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module; call as `get_logger(__name__)`."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def bind_drop(drop: Drop) -> None:
    """Every further line of this task carries the drop's id, table and trace id.

    A message is worked on in a task of its own, so nothing has to be unbound.
    """
    structlog.contextvars.bind_contextvars(
        drop_id=str(drop.drop_id),
        db_name=drop.db_name,
        table_name=drop.table_name,
        trace_id=trace_id(drop.drop_id),
    )


def _shared_processors() -> list[Any]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _renderers(log_format: str, metrics_stack: str) -> list[Any]:
    strip = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    if log_format == "console" or (log_format == "auto" and sys.stdout.isatty()):
        plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        return [strip, plain]
    return [
        strip,
        structlog.processors.ExceptionRenderer(_WITHOUT_LOCALS),
        *([EmbeddedMetrics(metrics_stack)] if metrics_stack else []),
        structlog.processors.JSONRenderer(ensure_ascii=False),
    ]
