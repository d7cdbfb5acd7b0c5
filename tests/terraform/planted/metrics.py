"""Alarms, metric math and dashboards."""

from __future__ import annotations

from typing import Final

from tests.terraform.aws import dashboards, metrics
from tests.terraform.planted.builders import (
    TOPIC,
    Planted,
    alarm,
    counting_alarm,
    dashboard,
    one,
    state,
    tracking,
    widget,
)

PLANTED: Final[list[Planted]] = [
    (metrics.refused_alarms, state(alarm(period=90)), "nor a multiple of 60 (CloudWatch API"),
    (metrics.refused_alarms, state(alarm(evaluation_periods=1_441)), "a day at most"),
    (metrics.refused_alarms, state(alarm(period=3_600, evaluation_periods=169)), "a week by hours"),
    (metrics.refused_alarms, state(alarm(datapoints_to_alarm=2)), "datapoints_to_alarm = 2 of 1"),
    (metrics.refused_alarms, state(alarm(metric_name=None)), "give either metric_name or"),
    (metrics.refused_alarms, state(alarm(alarm_actions=[TOPIC] * 6)), "alarm_actions: more than 5"),
    (metrics.refused_expressions, state(tracking("running /")), "'the end' is not expected"),
    (metrics.refused_expressions, state(tracking("(running")), "in place of ')'"),
    (metrics.refused_expressions, state(tracking("waiting / running")), "names 'waiting'"),
    (metrics.refused_expressions, state(tracking("ZERO(running)")), "there is no function ZERO"),
    (metrics.refused_expressions, state(tracking("running % 2")), "'%' is no metric math"),
    (
        metrics.filled_counts,
        state(tracking("IF(FILL(running, 0) > 0, FILL(running, 0), 1)")),
        "aws_appautoscaling_policy.it: metrics: FILL(running, 0) on a count of tasks",
    ),
    (
        metrics.filled_counts,
        state(counting_alarm("FILL(running, 0) < 1")),
        "aws_cloudwatch_metric_alarm.it: metric_query: FILL(running, 0) on a count of tasks",
    ),
    (
        metrics.unmeasured,
        state(alarm(dimensions={"Queue": "any"})),
        "AWS/SQS ApproximateNumberOfMessagesVisible by {Queue} is not published",
    ),
    (
        metrics.unmeasured,
        state(alarm(namespace="Headrace", metric_name="bugz", dimensions={"stack": "s"})),
        "no dimensions (headrace_shared/metrics.py)",
    ),
    (
        metrics.unmeasured,
        state(tracking("running", metric_name="RunningTasks")),
        "ECS/ContainerInsights RunningTasks",
    ),
    (
        metrics.unmeasured,
        state(dashboard(widget(["Headrace", "drops", "stack", "s"]))),
        "dashboard_body: widget 0: Headrace drops by {stack} is not published",
    ),
    (
        dashboards.refused_dashboards,
        state(one("aws_cloudwatch_dashboard", dashboard_body="{}")),
        "aws_cloudwatch_dashboard.it: dashboard_body",
    ),
    (dashboards.refused_dashboards, state(dashboard(widget(["A", "b"], width=25))), "24 columns"),
    (dashboards.refused_dashboards, state(dashboard(widget(["A"]))), "pairs of dimensions"),
    (dashboards.refused_dashboards, state(dashboard(widget())), "properties.metrics is empty"),
    (
        dashboards.refused_dashboards,
        state(dashboard(widget(["A", "b"], properties={"period": 90}))),
        "no multiple of 60",
    ),
    (dashboards.refused_dashboards, state(dashboard({"type": "graph"})), "'graph' is unknown"),
]
