"""The metrics that alarms, scaling and dashboards of a state look at."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tests.terraform.aws.state import Resource, State


@dataclass(frozen=True)
class Series:
    """A metric that something looks at; `place` is where it says so."""

    place: str
    namespace: str
    metric: str
    dimensions: Mapping[str, str]
    id: str = ""


@dataclass(frozen=True)
class Formula:
    """Metrics by id, and the expressions on them that one alarm or policy has.

    Args:
        returned: how many of them give the result.
        datapoints: minutes (or periods) that must breach before an alarm rings.
    """

    place: str
    series: tuple[Series, ...]
    expressions: Mapping[str, str]
    returned: int
    datapoints: int = 1


def looked_at(state: State) -> Iterator[Series]:
    """Every metric that something in a state looks at."""
    yield from _series_of_alarms(state)
    yield from _series_of_dashboards(state)


def formulas(state: State) -> Iterator[Formula]:
    """Of alarms, and of policies that track a metric."""
    for alarm in state.of("aws_cloudwatch_metric_alarm"):
        if queries := alarm.values.get("metric_query"):
            points = alarm.values.get("datapoints_to_alarm") or alarm.values["evaluation_periods"]
            found = _of_queries(f"{alarm.address}: metric_query", queries)
            yield replace(found, datapoints=points)
    for policy in state.of("aws_appautoscaling_policy"):
        for block in policy.values.get("target_tracking_scaling_policy_configuration") or ():
            for own in block.get("customized_metric_specification") or ():
                if own.get("metrics"):
                    yield _of_metrics(f"{policy.address}: metrics", own["metrics"])


def _of_queries(place: str, queries: list[Mapping[str, Any]]) -> Formula:
    series = tuple(
        Series(place, one["namespace"], one["metric_name"], one["dimensions"] or {}, query["id"])
        for query in queries
        for one in query.get("metric") or ()
    )
    return _formula(place, series, queries)


def _of_metrics(place: str, metrics: list[Mapping[str, Any]]) -> Formula:
    series = tuple(
        Series(place, one["namespace"], one["metric_name"], _pairs(one), metric["id"])
        for metric in metrics
        for stat in metric.get("metric_stat") or ()
        for one in stat["metric"]
    )
    return _formula(place, series, metrics)


def _formula(place: str, series: tuple[Series, ...], parts: list[Mapping[str, Any]]) -> Formula:
    written = {one["id"]: one["expression"] for one in parts if one.get("expression")}
    return Formula(place, series, written, sum(bool(one.get("return_data")) for one in parts))


def _pairs(block: Mapping[str, Any]) -> dict[str, str]:
    return {one["name"]: one["value"] for one in block.get("dimensions") or ()}


def _series_of_alarms(state: State) -> Iterator[Series]:
    for alarm in state.of("aws_cloudwatch_metric_alarm"):
        values = alarm.values
        if values.get("metric_name"):
            yield Series(
                f"{alarm.address}: metric_name",
                values["namespace"],
                values["metric_name"],
                values.get("dimensions") or {},
            )
    for formula in formulas(state):
        yield from formula.series


def _series_of_dashboards(state: State) -> Iterator[Series]:
    for dashboard in state.of("aws_cloudwatch_dashboard"):
        for position, widget in enumerate(_widgets(dashboard)):
            for row in widget.get("properties", {}).get("metrics", ()):
                texts = [one for one in row if isinstance(one, str)]
                # `.` repeats what the row before has: we write none.
                if len(texts) >= 2:
                    place = f"{dashboard.address}: dashboard_body: widget {position}"
                    pairs = dict(zip(texts[2::2], texts[3::2], strict=False))
                    yield Series(place, texts[0], texts[1], pairs)


def _widgets(dashboard: Resource) -> list[Mapping[str, Any]]:
    try:
        found: list[Mapping[str, Any]] = json.loads(dashboard.values["dashboard_body"])["widgets"]
    except (KeyError, TypeError, ValueError):
        # refused_dashboards names it.
        return []
    return found
