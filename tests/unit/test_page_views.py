"""What is shown of drops and tables: in words that people read, and of foreign text as text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_api.callers import ANYBODY, Caller, Scope, TablePattern
from headrace_api.page import table_view
from headrace_api.page.arrivals import SHOWN, Arrivals, question
from headrace_api.page.drop_view import MARKS, drop_line, drop_view, state_word, was_lost
from headrace_api.page.live import arrivals_shown
from headrace_api.page.rendering import rendered
from headrace_api.page.table_view import bad_share, chart_of, columns_of, line_of_time
from headrace_api.page.words import ago, duration, moment, share, size, span, visible
from headrace_api.problems import ApiError
from headrace_shared.log_schema import State

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOSTILE = "<img src=x onerror=alert(1)>"


def item(number: int = 1, *, state: State = State.LOADED, **more: Any) -> dict[str, Any]:
    return {
        "drop_id": str(UUID(int=number)),
        "bucket": "lake",
        "key": f"dev/append/users/{number}.csv",
        "db_name": "dev",
        "action": "append",
        "table_name": "users",
        "file": f"{number}.csv",
        "state": str(state),
        "state_order": number,
        "updated_at": "2026-11-20T11:59:00.000Z",
        "landed_timestamp": "2026-11-20T11:58:58Z",
        "landed_at": "2026-11-20T11:58:58.000Z",
        "size_bytes": 4_096,
        "rows_loaded": 7,
        "rows_quarantined": 0,
        "duration_ms": 1_400,
        "attempts": 1,
        **more,
    }


REJECTED: dict[str, Any] = {
    "state": "rejected",
    "rows_loaded": 0,
    "reason": {
        "code": "bad_rows",
        "message": "Line 3 is not a number.",
        "remedy": "Correct it.",
        "bad_row_count": 12,
        "bad_rows": [{"line": 3, "column": "id", "value": HOSTILE, "code": "n", "reason": "no"}],
    },
}


@pytest.mark.parametrize(
    ("milliseconds", "told"),
    [
        (None, ""),
        (0, "0 ms"),
        (999, "999 ms"),
        (1_412, "1.4 s"),
        (59_960, "1 min 0 s"),
        (125_000, "2 min 5 s"),
        (3_720_000, "1 h 2 min"),
    ],
)
def test_durations_have_the_unit_that_fits(milliseconds: int | None, told: str) -> None:
    assert duration(milliseconds) == told


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "just now"), (5, "5 s ago"), (60, "1 minute ago"), (7_300, "2 hours ago"), (-5, "in 5 s")],
)
def test_moments_are_told_from_now(seconds: int, told: str) -> None:
    assert ago(NOW - timedelta(seconds=seconds), NOW) == told


def test_a_moment_keeps_what_is_exact() -> None:
    shown = moment("2026-11-20T11:58:58.120Z", NOW)
    assert shown is not None
    assert shown.absolute == "2026-11-20 11:58:58 UTC"
    assert datetime.fromisoformat(shown.machine) == datetime(
        2026, 11, 20, 11, 58, 58, 120_000, tzinfo=UTC
    )


def test_sizes_and_shares() -> None:
    assert (size(12), size(4_096), size(31_100_000)) == ("12 B", "4.1 kB", "31.1 MB")
    assert (share(0, 9), share(1, 10_000), share(1, 8), share(0, 0)) == (
        "0 %",
        "< 0.1 %",
        "12.5 %",
        "",
    )
    assert span(86_400 * 3) == "3 days"


@given(st.text())
def test_nothing_invisible_is_left_in_foreign_text(text: str) -> None:
    assert visible(text).isprintable()


def test_every_state_has_a_mark_of_its_own() -> None:
    assert set(MARKS) == set(State)
    assert len(set(MARKS.values())) == len(State)
    assert all(state_word(state).meaning for state in State)


def test_a_line_tells_rows_of_what_was_loaded_alone() -> None:
    assert drop_line(item(), NOW).rows == "7"
    assert drop_line(item(**REJECTED), NOW).rows == ""
    assert drop_line(item(**REJECTED), NOW).bad_rows == 12
    assert drop_line(item(action="schema"), NOW).rows == ""


def test_a_key_without_a_table_is_shown_whole() -> None:
    line = drop_line(item(db_name=None, table_name=None, file=None, key="my/photo.jpg"), NOW)
    assert (line.table, line.file) == (None, "my/photo.jpg")


def test_the_road_has_durations() -> None:
    steps: dict[str, Any] = {
        "step#001#routed": {
            "at": "2026-11-20T11:58:58.120Z",
            "state": "routed",
            "attempt": 1,
        },
        "step#002#loaded": {
            "at": "2026-11-20T11:58:59.400Z",
            "state": "loaded",
            "attempt": 1,
        },
    }
    road = drop_view(item(**steps), NOW, shows_values=True).steps
    assert [(one.state.name, one.after) for one in road] == [
        ("landed", ""),
        ("routed", "120 ms"),
        ("loaded", "1.3 s"),
    ]


def test_values_are_for_those_who_may_see_rows() -> None:
    shown = drop_view(item(**REJECTED), NOW, shows_values=True)
    hidden = drop_view(item(**REJECTED), NOW, shows_values=False)
    assert shown.bad_rows[0].value == HOSTILE
    assert HOSTILE not in str(hidden)
    assert (hidden.bad_rows[0].line, hidden.bad_rows[0].column) == ("3", "id")
    assert hidden.to_do == "Correct it."


def test_a_drop_that_a_verification_found_was_lost() -> None:
    assert was_lost({**item(), "step#0#requested": {"as_landed": 1}})
    assert not was_lost({**item(), "step#0#requested": {}})


def test_charts_and_shares_of_a_table() -> None:
    items = [item(3), item(2, **REJECTED), item(1, rows_quarantined=1)]
    assert chart_of(items).rows == [7, 7]
    assert bad_share(items) == share(13, 27)
    assert chart_of([]).label == "no loads yet"
    assert chart_of([item(1)]).label == "1 load: 7 rows, 1.4 s from landing to loaded"
    assert chart_of([item(2, rows_loaded=9), item(1)]).label.startswith("2 loads: 7 to 9 rows each")


def test_the_time_line_marks_truncates_and_contracts() -> None:
    line = line_of_time(
        [item(3, action="truncate"), item(2, action="schema", changes=["column a added"]), item(1)],
        NOW,
    )
    assert [(one.kind, one.note) for one in line] == [
        ("truncate", "replaced every earlier row"),
        ("schema", "column a added"),
        ("", ""),
    ]


def test_columns_tell_keys_and_nulls() -> None:
    contract = {
        "columns": [{"name": "a", "type": "text", "nullable": False}, {"name": "b", "type": "int"}],
        "primary_key": ["a"],
    }
    assert [one.notes for one in columns_of(contract)] == ["key, not null", ""]


def test_a_contracts_tests_are_told_without_what_is_usual() -> None:
    usual = {"name": None, "not_null": "id", "severity": "error"}
    named = {"name": "ids", "unique": ["id", "day"], "severity": "warn"}
    assert table_view.tests_of({"tests": [usual, named]}) == [
        "not_null: id",
        "name: ids, unique: id, day, severity: warn",
    ]


def test_a_hostile_name_is_text_in_the_list() -> None:
    arrivals = Arrivals(question(), ANYBODY)
    arrivals.take([item(1, file=HOSTILE, key=f'dev/append/users/{HOSTILE}"')])
    html = rendered("_arrivals.html", **arrivals_shown(arrivals, question(), told=HOSTILE))
    assert "<img" not in html
    assert html.count("&lt;img src=x onerror=alert(1)&gt;") == 3


def test_a_long_name_breaks_between_its_parts() -> None:
    arrivals = Arrivals(question(), ANYBODY)
    arrivals.take([item(1, file="part_of-2026.csv", table_name="user_data")])
    html = rendered("_arrivals.html", **arrivals_shown(arrivals, question()))
    assert ">part_<wbr>of-<wbr>2026.<wbr>csv</a>" in html
    assert ">dev.<wbr>user_<wbr>data</a>" in html


def test_the_list_is_capped_and_counts_the_rest() -> None:
    arrivals = Arrivals(question(), ANYBODY)
    assert len(arrivals.take([item(number) for number in range(1, 463)])) == 462 - SHOWN
    assert arrivals.items[0]["drop_id"] == str(UUID(int=462))
    shown = arrivals_shown(arrivals, question(), more=412)
    assert "and 412 more" in rendered("_arrivals.html", **shown)


def test_a_drop_that_passes_no_longer_leaves_the_list() -> None:
    arrivals = Arrivals(question(state="loading"), ANYBODY)
    arrivals.take([item(1, state=State.LOADING)])
    arrivals.take([item(1, state=State.LOADED)])
    assert not arrivals.items


def test_a_caller_sees_their_tables_alone() -> None:
    caller = Caller("hr", frozenset(Scope), (TablePattern.of("hr.*"),))
    arrivals = Arrivals(question(), caller)
    assert arrivals.take([item(1), item(2, db_name=None, table_name=None)]) == []
    assert not arrivals.items


@pytest.mark.parametrize(
    ("asked", "passes"),
    [
        ({}, True),
        ({"table": "users"}, True),
        ({"table": "DEV.users"}, True),
        ({"table": "hr.users"}, False),
        ({"state": "loaded"}, True),
        ({"state": "failed"}, False),
        ({"text": "APPEND/users"}, True),
        ({"text": "nowhere"}, False),
    ],
)
def test_questions_let_through_what_they_ask_for(asked: dict[str, str], passes: bool) -> None:
    assert question(**asked).passes(item()) is passes


@pytest.mark.parametrize("asked", [{"table": "a b"}, {"table": "a.b.c"}, {"state": "nope"}])
def test_questions_without_sense_are_refused(asked: dict[str, str]) -> None:
    with pytest.raises(ApiError):
        question(**asked)
