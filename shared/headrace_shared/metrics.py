"""Metrics: a rendering of canonical log lines, in CloudWatch's embedded metric format (EMF).

A line of an event in `TABLE` gets the member `_aws`, by which CloudWatch Logs reads metrics out of
the line itself: no agent, no call. What the format asks is from
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
: one JSON object a line, of 1 MB at most; at most 100 metrics a directive and 30 dimensions a set;
metrics are numbers and dimensions texts, both members of the root.

Each distinct set of dimension values is a metric of its own and is paid for: dimensions hold what
takes few values (a state, an outcome), never a table or a drop.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import groupby
from typing import Any, Final

from headrace_shared.log_schema import END_STATES, State

NAMESPACE: Final = "Headrace"

STACK: Final = "stack"
SERVICE: Final = "service"
STATE: Final = "state"
OUTCOME: Final = "outcome"
STATUS_CLASS: Final = "status_class"

DROPS: Final = "drops"
LANDING_TO_LOADED_MS: Final = "landing_to_loaded_ms"
ROWS_LOADED: Final = "rows_loaded"
ROWS_QUARANTINED: Final = "rows_quarantined"
BYTES_LOADED: Final = "bytes_loaded"
MESSAGES: Final = "messages"
MESSAGE_MS: Final = "message_ms"
BUGS: Final = "bugs"
REQUESTS: Final = "requests"
REQUEST_MS: Final = "request_ms"
LOG_LAG_MS: Final = "log_lag_ms"
OBJECTS_IGNORED: Final = "objects_ignored"
DIFFERENCES: Final = "differences"
DIFFERENCES_LEFT: Final = "differences_left"


class Unit(StrEnum):
    """CloudWatch's names of units.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html
    """

    COUNT = "Count"
    MILLISECONDS = "Milliseconds"
    BYTES = "Bytes"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of a line.

    `source` is the line's field that holds the value; without one, each line counts one.
    """

    name: str
    unit: Unit
    meaning: str
    source: str | None = None

    def value(self, line: Mapping[str, Any]) -> int | float | None:
        """The value that a line has for it; None if it has none."""
        found = 1 if self.source is None else line.get(self.source)
        if isinstance(found, bool) or not isinstance(found, int | float):
            return None
        return found if math.isfinite(found) else None


@dataclass(frozen=True, slots=True)
class Rule:
    """The metrics of the lines of one event, by their dimensions.

    `only`: fields, and the values of which they must hold one. Metrics whose field a line does
    not have are left out; without one of the dimensions, all of them are.
    """

    event: str
    dimensions: tuple[str, ...]
    metrics: tuple[Metric, ...]
    only: Mapping[str, frozenset[Any]] = field(default_factory=dict)

    def values(self, line: Mapping[str, Any]) -> dict[str, int | float]:
        """The metrics that a line has by this rule."""
        meant = all(line.get(name) in allowed for name, allowed in self.only.items())
        placed = all(isinstance(line.get(name), str) and line[name] for name in self.dimensions)
        if not (meant and placed):
            return {}
        found = {metric.name: metric.value(line) for metric in self.metrics}
        return {name: value for name, value in found.items() if value is not None}

    def directive(self, values: Mapping[str, int | float]) -> dict[str, Any]:
        """What CloudWatch is told about the values."""
        return {
            "Namespace": NAMESPACE,
            "Dimensions": [list(self.dimensions)],
            "Metrics": [
                {"Name": metric.name, "Unit": str(metric.unit)}
                for metric in self.metrics
                if metric.name in values
            ],
        }


TABLE: Final[tuple[Rule, ...]] = (
    Rule(
        "log.updated",
        (STACK, STATE),
        (
            Metric(
                DROPS, Unit.COUNT, "Drops that came to an end state: once for each state and run."
            ),
        ),
        {"state": END_STATES},
    ),
    Rule(
        "log.updated",
        (STACK,),
        (
            Metric(
                LANDING_TO_LOADED_MS,
                Unit.MILLISECONDS,
                "From the landing, which AWS gives in whole seconds, to the load or the applied "
                "contract; first runs alone, and none that failed and was redriven.",
                LANDING_TO_LOADED_MS,
            ),
            Metric(ROWS_LOADED, Unit.COUNT, "Rows of loaded drops, replays too.", ROWS_LOADED),
            Metric(
                ROWS_QUARANTINED,
                Unit.COUNT,
                "Rows of loaded drops that went to the quarantine.",
                ROWS_QUARANTINED,
            ),
            Metric(
                BYTES_LOADED,
                Unit.BYTES,
                "Size of loaded drops, as they lie in the lake.",
                BYTES_LOADED,
            ),
        ),
        {"state": frozenset({State.LOADED})},
    ),
    Rule(
        "log.updated",
        (STACK,),
        (
            Metric(
                LOG_LAG_MS,
                Unit.MILLISECONDS,
                "From the moment an event came into the logger's inbox until it was in the log.",
                "lag_ms",
            ),
        ),
    ),
    Rule(
        "drop.ignored",
        (STACK,),
        (
            Metric(
                OBJECTS_IGNORED,
                Unit.COUNT,
                "Objects that are no drops: folder placeholders, markers such as `_SUCCESS`, and, "
                "where there are routes, keys that none of them fits.",
            ),
        ),
    ),
    Rule(
        "message.settled",
        (STACK, SERVICE, OUTCOME),
        (
            Metric(
                MESSAGES,
                Unit.COUNT,
                "Deliveries: `done`, `retried` (hidden for a back-off), `released` (not "
                "tried, or the warehouse was away: no failure), `failed` (to the dead "
                "letters) or `handed_back` (at a stop).",
            ),
            Metric(MESSAGE_MS, Unit.MILLISECONDS, "How long one was in hand.", "duration_ms"),
        ),
    ),
    Rule(
        "message.failed",
        (STACK, SERVICE),
        (Metric(BUGS, Unit.COUNT, "What should not happen: see the line's traceback."),),
    ),
    Rule(
        "request.failed",
        (STACK, SERVICE),
        (Metric(BUGS, Unit.COUNT, "What should not happen: see the line's traceback."),),
    ),
    Rule(
        "request.answered",
        (STACK, STATUS_CLASS),
        (
            Metric(REQUESTS, Unit.COUNT, "Answers of the API (`2xx` ...), probes left out."),
            Metric(REQUEST_MS, Unit.MILLISECONDS, "How long an answer took.", "duration_ms"),
        ),
        {"probe": frozenset({False})},
    ),
    Rule(
        "verification.finished",
        (STACK,),
        (
            Metric(
                DIFFERENCES,
                Unit.COUNT,
                "Differences that a verification found, mended or not.",
                DIFFERENCES,
            ),
            Metric(DIFFERENCES_LEFT, Unit.COUNT, "Those that nothing mends.", "left"),
        ),
    ),
)

_BY_EVENT: Final = {
    event: tuple(rules)
    for event, rules in groupby(sorted(TABLE, key=lambda rule: rule.event), lambda one: one.event)
}


class EmbeddedMetrics:
    """The structlog processor that adds a line's metrics to it, just before it is rendered.

    Args:
        stack: what the metrics of several installations in one account are told apart by.
    """

    def __init__(self, stack: str) -> None:
        self._stack = stack

    def __call__(self, logger: object, method: str, line: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002 - structlog's signature
        """The line with what EMF wants of it; a line without metrics as it is."""
        return {**line, **embedded(line, self._stack)}


def embedded(line: Mapping[str, Any], stack: str) -> dict[str, Any]:
    """The members that make a log line an EMF document; none for a line without metrics."""
    whole = {**line, STACK: stack}
    members: dict[str, Any] = {}
    directives = []
    for rule in _BY_EVENT.get(str(line.get("event")), ()):
        values = rule.values(whole)
        if values:
            members |= values
            directives.append(rule.directive(values))
    if not directives:
        return {}
    told_at = datetime.fromisoformat(line["timestamp"])
    about = {"Timestamp": round(told_at.timestamp() * 1000), "CloudWatchMetrics": directives}
    return {STACK: stack, **members, "_aws": about}
