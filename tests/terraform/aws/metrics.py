"""Alarms and metric math: whether CloudWatch takes them, and whether what they look at is ever
measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tests.terraform.aws import expressions
from tests.terraform.aws.published import published
from tests.terraform.aws.series import formulas, looked_at
from tests.terraform.aws.state import State

_ALARMS: Final = "CloudWatch API reference, PutMetricAlarm"
_FILL: Final = (
    "CloudWatch user guide, metric math, FILL: a metric that is late is filled in its newest minute"
)
_DAY_SECONDS: Final = 86_400
_MOST_DIMENSIONS: Final = 30
_MOST_ACTIONS: Final = 5
_COUNTS_OF_TASKS: Final = frozenset({"RunningTaskCount", "DesiredTaskCount", "PendingTaskCount"})
_REPEATED: Final = frozenset({"REPEAT", "LINEAR"})
_MOST_METRICS: Final = 10
"""Metrics and expressions that one alarm takes; a policy makes alarms of its own."""


def refused_alarms(state: State) -> Iterator[str]:
    """Alarms with a period, a range, or a mixture of arguments that CloudWatch refuses."""
    for alarm in state.of("aws_cloudwatch_metric_alarm"):
        for fault in _alarm_faults(alarm.values):
            yield f"{alarm.address}: {fault} ({_ALARMS})"


def refused_expressions(state: State) -> Iterator[str]:
    """Metric math that cannot be read, names an id that there is not, or returns no one series."""
    for formula in formulas(state):
        ids = {one.id for one in formula.series} | formula.expressions.keys()
        for id_, text in formula.expressions.items():
            try:
                unknown = expressions.parsed(text).ids - ids
            except ValueError as error:
                yield f"{formula.place}: {id_} = {text!r}: {error} ({expressions.SOURCE})"
                continue
            for name in sorted(unknown):
                yield f"{formula.place}: {id_} names {name!r}, which is no id of it ({_ALARMS})"
        if formula.returned != 1:
            yield f"{formula.place}: {formula.returned} return data, exactly one may ({_ALARMS})"
        if len(ids) > _MOST_METRICS:
            yield f"{formula.place}: {len(ids)} metrics, at most 10 are allowed ({_ALARMS})"


def filled_counts(state: State) -> Iterator[str]:
    """Running tasks, filled with a number: Container Insights is late, and so the newest minute
    would always have that number. Only an alarm that waits for a second minute may do so."""
    for formula in formulas(state):
        if formula.datapoints > 1:
            continue
        counts = {one.id for one in formula.series if one.metric in _COUNTS_OF_TASKS}
        for text in formula.expressions.values():
            for call in _calls(text):
                filled, *by = call.arguments or ("",)
                if call.function == "FILL" and filled in counts and not set(by) <= _REPEATED:
                    shown = ", ".join(call.arguments)
                    yield f"{formula.place}: FILL({shown}) on a count of tasks ({_FILL})"


def unmeasured(state: State) -> Iterator[str]:
    """Metrics of alarms, scaling and dashboards that are not published with these dimensions."""
    for one in looked_at(state):
        wanted = frozenset(one.dimensions)
        known, source = published(one.namespace, one.metric)
        if wanted not in known:
            sets = " or ".join("{" + ", ".join(sorted(s)) + "}" for s in known) or "no dimensions"
            yield (
                f"{one.place}: {one.namespace} {one.metric} by {{{', '.join(sorted(wanted))}}} is "
                f"not published; known: {sets} ({source})"
            )


def _alarm_faults(values: Mapping[str, Any]) -> Iterator[str]:
    single, queries = values.get("metric_name"), values.get("metric_query") or []
    if bool(single) == bool(queries):
        yield "metric_name: give either metric_name or metric_query"
    inner = [metric for query in queries for metric in query.get("metric") or ()]
    for one in (values, *inner):
        if one.get("period"):
            yield from _period_faults(one["period"], values["evaluation_periods"])
    yield from _number_faults(values)


def _period_faults(period: int, times: int) -> Iterator[str]:
    if period not in (10, 20, 30) and period % 60:
        yield f"period = {period} is neither 10, 20, 30 nor a multiple of 60"
    if period * times > (_DAY_SECONDS if period < 3_600 else 7 * _DAY_SECONDS):
        yield f"evaluation_periods: {period * times} s: a day at most, or a week by hours"


def _number_faults(values: Mapping[str, Any]) -> Iterator[str]:
    periods, wanted = values["evaluation_periods"], values.get("datapoints_to_alarm")
    if wanted and wanted > periods:
        yield f"datapoints_to_alarm = {wanted} of {periods} periods"
    if len(values.get("dimensions") or {}) > _MOST_DIMENSIONS:
        yield f"dimensions: more than {_MOST_DIMENSIONS}"
    for action in ("alarm_actions", "ok_actions", "insufficient_data_actions"):
        if len(values.get(action) or ()) > _MOST_ACTIONS:
            yield f"{action}: more than {_MOST_ACTIONS}"


def _calls(text: str) -> list[expressions.Call]:
    try:
        return expressions.parsed(text).calls
    except ValueError:
        # refused_expressions names it.
        return []
