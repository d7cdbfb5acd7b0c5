"""Dashboards: whether CloudWatch can draw them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tests.terraform.aws.state import State

_DASHBOARDS: Final = "CloudWatch API reference, Dashboard Body Structure and Syntax"
_GRID: Final = 24
_HIGH_RESOLUTION: Final = (1, 5, 10, 20, 30)


def refused_dashboards(state: State) -> Iterator[str]:
    """Bodies that CloudWatch cannot draw."""
    for dashboard in state.of("aws_cloudwatch_dashboard"):
        try:
            widgets = json.loads(dashboard.values["dashboard_body"])["widgets"]
        except (KeyError, TypeError, ValueError) as error:
            yield f"{dashboard.address}: dashboard_body: {error!r} ({_DASHBOARDS})"
            continue
        for position, widget in enumerate(widgets):
            for fault in _widget_faults(widget):
                place = f"{dashboard.address}: dashboard_body: widget {position}"
                yield f"{place}: {fault} ({_DASHBOARDS})"


def _widget_faults(widget: Mapping[str, Any]) -> Iterator[str]:
    kind, properties = widget.get("type"), widget.get("properties") or {}
    if kind not in ("metric", "text", "log", "alarm", "explorer", "custom"):
        yield f"type {kind!r} is unknown"
    if (
        not 1 <= widget.get("width", 6) <= _GRID
        or widget.get("x", 0) + widget.get("width", 6) > _GRID
    ):
        yield f"width {widget.get('width')}: the grid has {_GRID} columns"
    if not 1 <= widget.get("height", 6) <= 1_000:
        yield f"height {widget.get('height')} is not between 1 and 1000"
    if kind == "text" and "markdown" not in properties:
        yield "a text has markdown"
    if kind == "metric":
        yield from _metric_faults(properties)


def _metric_faults(properties: Mapping[str, Any]) -> Iterator[str]:
    if not properties.get("region"):
        yield "properties.region is missing"
    rows = properties.get("metrics", [])
    if not rows and "annotations" not in properties:
        yield "properties.metrics is empty"
    period = properties.get("period", 60)
    if period not in _HIGH_RESOLUTION and period % 60:
        yield f"properties.period = {period} is no multiple of 60"
    if properties.get("view", "timeSeries") not in (
        *("timeSeries", "singleValue", "gauge", "bar", "pie", "table"),
    ):
        yield f"properties.view = {properties['view']!r} is unknown"
    for row in rows:
        texts = [one for one in row if not isinstance(one, Mapping)]
        options = [one for one in row if isinstance(one, Mapping)]
        by_expression = any("expression" in one for one in options)
        if not all(isinstance(one, str) for one in texts) or row[len(texts) :] != options:
            yield f"properties.metrics: {row!r}: texts first, then one object"
        elif len(texts) % 2 or (len(texts) < 2 and not by_expression):
            yield f"properties.metrics: {row!r}: namespace, metric, and pairs of dimensions"
