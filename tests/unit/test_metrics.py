"""Log lines become metrics: the format is CloudWatch's, and each thing counts once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_shared import metrics
from headrace_shared.events import CATALOGUE
from headrace_shared.log_schema import END_STATES, State
from headrace_shared.metrics import TABLE, Rule, embedded

AT = "2026-11-20T12:00:00.250000Z"
AT_MS = 1_795_176_000_250
LOADED = {
    "event": "log.updated",
    "timestamp": AT,
    "service": "logger",
    "drop_id": "6b00cbd0-0000-8000-8000-000000000001",
    "table_name": "users",
    "state": "loaded",
    "rows_loaded": 7,
    "rows_quarantined": 0,
    "bytes_loaded": 10,
    "landing_to_loaded_ms": 840,
}
LINES: dict[str, dict[str, Any]] = {
    "log.updated": LOADED,
    "message.settled": {"outcome": "done", "duration_ms": 31, "attempt": 1},
    "drop.ignored": {"key": "dev/append/users/_SUCCESS"},
    "message.failed": {"message_id": "m1"},
    "request.failed": {"request_id": "r1"},
    "request.answered": {"status_class": "2xx", "probe": False, "duration_ms": 4, "status": 200},
    "verification.finished": {"differences": 3, "left": 1, "failed": 0},
}
NEVER_A_DIMENSION = {"drop_id", "table_name", "db_name", "key", "path", "message_id", "request_id"}
UNITS = {"Count", "Milliseconds", "Bytes"}

SPEAKING = """
import sys
from headrace_shared.logging import configure, get_logger
from headrace_shared.settings import ServiceSettings, load_settings
configure("loader", load_settings(ServiceSettings))
log = get_logger("headrace_shared.inbox")
log.info("message.settled", outcome="done", duration_ms=31, attempt=1)
log.info("service.started")
def fails(row):
    raise ZeroDivisionError("no row")
try:
    fails("the inner secret")
except ZeroDivisionError as error:
    log.error("message.failed", exc_info=error)
"""


def a_line(event: str) -> dict[str, Any]:
    return {"event": event, "timestamp": AT, "service": "loader", **LINES[event]}


def assert_is_emf(line: dict[str, Any]) -> None:
    """The rules of the format's specification, and of its JSON schema."""
    assert len(json.dumps(line)) < 1_000_000
    about = line["_aws"]
    assert about.keys() == {"Timestamp", "CloudWatchMetrics"}
    assert type(about["Timestamp"]) is int
    assert about["CloudWatchMetrics"]
    for directive in about["CloudWatchMetrics"]:
        assert directive.keys() == {"Namespace", "Dimensions", "Metrics"}
        assert 1 <= len(directive["Namespace"]) <= 255
        assert len(directive["Dimensions"]) >= 1
        for dimensions in directive["Dimensions"]:
            assert len(dimensions) <= 30
            for name in dimensions:
                assert isinstance(line[name], str)
                assert 1 <= len(line[name]) <= 1_024
        assert 1 <= len(directive["Metrics"]) <= 100
        for metric in directive["Metrics"]:
            assert metric.keys() == {"Name", "Unit"}
            assert metric["Unit"] in UNITS
            assert 1 <= len(metric["Name"]) <= 255
            assert type(line[metric["Name"]]) in (int, float)


def told(line: dict[str, Any]) -> dict[str, Any]:
    """Each metric of a line by its name, with its dimensions' values."""
    directives = line.get("_aws", {}).get("CloudWatchMetrics", [])
    return {
        metric["Name"]: (line[metric["Name"]], *(line[one] for one in directive["Dimensions"][0]))
        for directive in directives
        for metric in directive["Metrics"]
    }


def spoken(**settings: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
    return subprocess.run(
        [sys.executable, "-c", SPEAKING],
        env={**env, **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("event", LINES)
def test_line_follows_the_embedded_metric_format(event: str) -> None:
    line = a_line(event)
    whole = {**line, **embedded(line, "prod")}
    assert_is_emf(whole)
    assert whole["_aws"]["Timestamp"] == AT_MS
    assert {name: whole[name] for name in line} == line, "a metric takes no field's place"


def test_every_rule_is_of_a_listed_event_and_has_a_line_here() -> None:
    assert {rule.event for rule in TABLE} == set(LINES)
    assert set(CATALOGUE) >= set(LINES)


@pytest.mark.parametrize("rule", TABLE, ids=lambda rule: f"{rule.event}-{rule.metrics[0].name}")
def test_dimensions_take_few_values(rule: Rule) -> None:
    assert rule.dimensions[0] == "stack"
    assert not NEVER_A_DIMENSION & set(rule.dimensions)


def test_metric_has_the_same_unit_and_dimensions_wherever_it_is_told() -> None:
    of_name: dict[str, set[tuple[object, ...]]] = {}
    for rule in TABLE:
        for metric in rule.metrics:
            of_name.setdefault(metric.name, set()).add((metric.unit, rule.dimensions))
    assert all(len(kinds) == 1 for kinds in of_name.values())


def test_loaded_drop_tells_its_count_time_rows_and_bytes() -> None:
    assert told({**LOADED, **embedded(LOADED, "prod")}) == {
        "drops": (1, "prod", "loaded"),
        "landing_to_loaded_ms": (840, "prod"),
        "rows_loaded": (7, "prod"),
        "rows_quarantined": (0, "prod"),
        "bytes_loaded": (10, "prod"),
    }


@pytest.mark.parametrize("state", State)
def test_drop_counts_at_its_end_alone(state: State) -> None:
    line = {"event": "log.updated", "timestamp": AT, "state": str(state)}
    whole = {**line, **embedded(line, "prod")}
    assert told(whole) == ({"drops": (1, "prod", state)} if state in END_STATES else {})


def test_message_is_counted_and_timed_by_service_and_outcome() -> None:
    line = a_line("message.settled")
    place = ("prod", "loader", "done")
    assert told({**line, **embedded(line, "prod")}) == {
        "messages": (1, *place),
        "message_ms": (31, *place),
    }


@pytest.mark.parametrize(
    "line",
    [
        {**LOADED, "event": "log.unchanged"},
        {"event": "service.started", "timestamp": AT},
        {"event": "something a library said", "timestamp": AT},
        {**a_line("request.answered"), "probe": True},
        {**a_line("message.settled"), "outcome": None},
        {**a_line("verification.finished"), "differences": True, "left": float("nan")},
    ],
    ids=["repeated", "no metric", "library", "probe", "no dimension", "no number"],
)
def test_line_without_metrics_stays_as_it_is(line: dict[str, Any]) -> None:
    assert embedded(line, "prod") == {}


_VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["", "2xx"])
_FIELDS = sorted({name for line in LINES.values() for name in line} | {"status_class"})


@given(
    event=st.sampled_from(sorted(LINES)),
    fields=st.dictionaries(st.sampled_from(_FIELDS), _VALUES),
    state=st.sampled_from(State),
)
def test_whatever_a_line_carries_what_is_rendered_is_good(
    event: str, fields: dict[str, Any], state: State
) -> None:
    line = {**fields, "state": str(state), "event": event, "timestamp": AT, "service": "loader"}
    added = embedded(line, "prod")
    if added:
        assert_is_emf({**line, **added})


def test_process_writes_metrics_into_its_json_lines() -> None:
    lines = [json.loads(one) for one in spoken(HEADRACE_METRICS_STACK="prod").stdout.splitlines()]
    settled, started, failed = lines
    for line in (settled, failed):
        assert_is_emf(line)
    assert told(settled)["messages"] == (1, "prod", "loader", "done")
    assert told(failed) == {"bugs": (1, "prod", "loader")}
    assert "_aws" not in started


def test_process_without_a_stack_writes_no_metrics() -> None:
    spoke = spoken()
    assert len(spoke.stdout.splitlines()) == 3
    assert "_aws" not in spoke.stdout


def test_console_lines_have_no_metrics() -> None:
    spoke = spoken(HEADRACE_METRICS_STACK="prod", HEADRACE_LOG_FORMAT="console")
    assert "message.settled" in spoke.stdout
    assert "_aws" not in spoke.stdout


def test_traceback_tells_no_values_of_variables() -> None:
    spoke = spoken()
    assert "ZeroDivisionError" in spoke.stdout
    assert "the inner secret" not in spoke.stdout


def test_log_level_that_hides_metrics_is_refused_in_one_sentence() -> None:
    spoke = spoken(HEADRACE_METRICS_STACK="prod", HEADRACE_LOG_LEVEL="error")
    assert spoke.returncode == 2
    assert spoke.stderr == (
        "Settings: metrics are lines of level info: log_level must let them through.\n"
    )


def test_stack_that_no_dimension_can_hold_is_refused() -> None:
    assert "HEADRACE_METRICS_STACK is wrong" in spoken(HEADRACE_METRICS_STACK=":ü").stderr


def test_names_are_constants_for_those_who_read_them() -> None:
    exported = {value for value in vars(metrics).values() if isinstance(value, str)}
    for rule in TABLE:
        assert {metric.name for metric in rule.metrics} | set(rule.dimensions) <= exported
