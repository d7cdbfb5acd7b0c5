"""What people read: aligned, plain when piped, and never written by the file they dropped."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from rich.console import Console, RenderableType

from headrace_local import render
from headrace_local.api_client import DropItem, DropStory, TableItem
from headrace_local.destination import Planned
from headrace_local.errors import UserError
from headrace_local.figures import ago, rate, rows_word, shortened, size
from headrace_local.follow import Journey
from headrace_local.render_log import drops_table, short_id_length, story, tables_table
from headrace_local.upload import Landed
from headrace_local.views import JsonView, LinesView
from headrace_shared.log_schema import State
from headrace_shared.reasons import BadRow, Reason

LANDED_AT = datetime(2026, 11, 20, 12, 0, 0, 120_000, tzinfo=UTC)
NOW = LANDED_AT + timedelta(minutes=3)
REASON = Reason(
    code="bad_rows",
    message="2 rows cannot be loaded.",
    remedy="Correct them and drop the file again.",
    bad_rows=(
        BadRow(line=3, column="identifier", value="eleven", reason="is no bigint"),
        BadRow(line=1_204, column="name", value="\x1b[2Jx", reason="is too long"),
    ),
)


def a_piped_console() -> tuple[Console, Callable[[], str]]:
    file = io.StringIO()
    console = Console(file=file, highlight=False, soft_wrap=True, width=80)
    return console, file.getvalue


def text_of(renderable: RenderableType) -> str:
    console, read = a_piped_console()
    render.show(console, renderable)
    return read()


def an_item(**changes: Any) -> DropItem:
    return DropItem.model_validate(_facts() | changes)


def a_story(**changes: Any) -> DropStory:
    return DropStory.model_validate(_facts() | changes)


def _facts() -> dict[str, Any]:
    return {
        "drop_id": UUID("65a1b2c3-0000-8000-8000-000000000001"),
        "bucket": "lake",
        "key": "dev/append/t/a.csv",
        "db_name": "dev",
        "table_name": "t",
        "action": "append",
        "state": "loaded",
        "landed_timestamp": LANDED_AT.replace(microsecond=0),
        "landed_at": LANDED_AT,
        "rows_loaded": 1_000,
        "rows_quarantined": 0,
        "bytes": 2_000_000,
        "duration_ms": 500,
    }


def a_journey(item: DropItem | None = None) -> Journey:
    journey = Journey(Planned("a.csv", "dev/append/t/a.csv", 2_000_000))
    journey.item = item
    if item is not None:
        journey.landed = Landed("lake", item.key, "e1", None, 2_000_000)
    return journey


def test_line_of_a_loaded_drop_has_state_rows_rate_and_time() -> None:
    line = render.journey_line(a_journey(an_item()), 20, 9.9).plain
    assert line.split() == [
        "loaded",
        "dev/append/t/a.csv",
        "1,000",
        "rows",
        "4.0",
        "MB/s",
        "500",
        "ms",
    ]


def test_lines_of_all_states_are_aligned() -> None:
    journeys = [a_journey(an_item(state=state)) for state in State]
    lengths = {len(render.journey_line(journey, 20, 0.0).plain) for journey in journeys}
    assert len(lengths) == 1


def test_line_of_an_upload_shows_how_far_it_is() -> None:
    journey = a_journey()
    journey.note(500_000)
    assert "25 %" in render.journey_line(journey, 20, 0.0).plain


def test_every_state_has_a_style() -> None:
    assert set(State) <= set(render.STYLES)


def test_reason_is_what_where_what_to_do_and_the_bad_rows_in_columns() -> None:
    text = text_of(render.reason_block(REASON, "s3://lake/dev/append/t/a.csv"))
    lines = [line.split() for line in text.splitlines()]
    assert lines[0][:2] == ["what:", "2"]
    assert lines[1] == ["where:", "s3://lake/dev/append/t/a.csv"]
    assert lines[2][:3] == ["to", "do:", "Correct"]
    assert lines[3] == ["line", "column", "value", "reason"]
    assert lines[4] == ["3", "identifier", "eleven", "is", "no", "bigint"]
    assert lines[5][0] == "1,204"


def test_control_characters_of_a_file_never_reach_the_terminal() -> None:
    text = text_of(render.reason_block(REASON, "s3://lake/\x1b[31m.csv"))
    assert "\x1b" not in text
    assert "\\x1b[2Jx" in text


def test_empty_value_of_a_bad_row_is_visible() -> None:
    text = text_of(render.bad_rows_table([BadRow(line=2, column="a", value="", reason="bad")]))
    assert '""' in text


def test_superseded_drop_says_by_which() -> None:
    by = UUID(int=7)
    reason = render.item_reason(an_item(state="superseded", superseded_by=by))
    assert reason is not None
    assert str(by) in text_of(reason)


def test_piped_line_is_never_folded_or_shortened() -> None:
    key = "dev/append/t/" + "x" * 300 + ".csv"
    text = text_of(drops_table([an_item(key=key)], NOW))
    assert key in text


def test_status_tells_drops_and_tables() -> None:
    drops = text_of(drops_table([an_item()], NOW)).splitlines()
    assert drops[1].split() == [
        "65a1b2c3-0000",
        "loaded",
        "dev/append/t/a.csv",
        "1,000",
        "2.0",
        "MB",
        "500",
        "ms",
        "3",
        "minutes",
        "ago",
    ]
    table = TableItem(
        db_name="dev",
        table_name="t",
        row_count=1_000,
        last_loaded_at=LANDED_AT,
        drops_by_state={"loaded": 2, "rejected": 0},
    )
    tables = text_of(tables_table([table], NOW)).splitlines()
    assert tables[1].split() == ["dev.t", "1,000", "3", "minutes", "ago", "2", "loaded"]


def test_short_ids_are_as_long_as_telling_them_apart_needs() -> None:
    assert short_id_length(["65a1b2c3-0000-8000-8000-00", "75a1b2c3-0000-8000-8000-00"]) == 13
    assert short_id_length(["65a1b2c3-0000-8000-8000-01", "65a1b2c3-0000-8000-8000-02"]) == 26


def test_story_has_every_step_with_its_time_since_landing() -> None:
    steps = [
        {"at": LANDED_AT + timedelta(milliseconds=80), "state": "routed", "stage": "route"},
        {
            "at": LANDED_AT + timedelta(milliseconds=1_500),
            "state": "rejected",
            "stage": "load",
            "status": "fail",
            "attempt": 1,
        },
    ]
    told = a_story(state="rejected", timeline=steps, reason=REASON, duration_ms=1_500, load_ms=900)
    text = text_of(story(told, NOW))
    assert "1,500 ms from landing to rejected; 900 ms of it the load" in text
    rows = [line.split() for line in text.splitlines()]
    assert ["12:00:00.200", "80", "ms", "routed", "route"] in rows
    assert ["12:00:01.620", "1,500", "ms", "rejected", "load", "fail", "1"] in rows
    assert "eleven" in text


def test_later_run_is_timed_from_its_request() -> None:
    run = round(LANDED_AT.timestamp() * 1000) + 86_400_000
    ended = LANDED_AT + timedelta(days=1, milliseconds=240)
    facts = {"run": run, "updated_at": ended, "duration_ms": 86_400_240}
    assert an_item(state="loaded", **facts).took_ms == 240
    assert an_item(state="loading", **facts).took_ms == 86_400_240
    told = text_of(story(a_story(state="reverted", rows_removed=7, **facts), NOW))
    assert "240 ms from the request to reverted" in told
    assert "7 taken out of the table" in told


def test_piped_view_prints_a_line_at_the_end_and_one_when_a_drop_waits() -> None:
    console, read = a_piped_console()
    journey = a_journey(an_item(state="loading"))
    with LinesView(console, [journey]) as view:
        view.update([journey])
        journey.item = an_item(state="waiting", reason=REASON)
        view.update([journey])
        view.update([journey])
        journey.item = an_item()
        view.update([journey])
    first_words = [line.split()[0] for line in read().splitlines() if line[0] != " "]
    assert first_words == ["waiting", "loaded"]


def test_json_view_prints_one_object_a_drop_with_its_trouble() -> None:
    console, read = a_piped_console()
    failed, loaded = a_journey(), a_journey(an_item())
    failed.trouble = UserError("There is no such bucket.", "s3://lake", "Check --bucket.")
    view = JsonView(console)
    view.update([failed, loaded])
    view.update([failed, loaded])
    documents = [json.loads(line) for line in read().splitlines()]
    assert [document["state"] for document in documents] == ["not sent", "loaded"]
    assert documents[0]["error"]["what_to_do"] == "Check --bucket."
    assert documents[1]["rows_loaded"] == 1_000


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        (size(999), "999 B"),
        (size(31_053_850), "31.1 MB"),
        (rate(31_053_850, 1_450), "21.4 MB/s"),
        (rate(10, 1_000), "< 0.1 MB/s"),
        (rate(None, 5), ""),
        (rows_word(1), "1 row"),
        (rows_word(336_776), "336,776 rows"),
        (ago(NOW, NOW), "0 s ago"),
        (ago(NOW - timedelta(days=1), NOW), "1 day ago"),
        (shortened("abcdefghij", 7), "ab…ghij"),
        (shortened("a\nb", 10), "a\\nb"),
    ],
)
def test_figures_read_well(told: str, wanted: str) -> None:
    assert told == wanted
