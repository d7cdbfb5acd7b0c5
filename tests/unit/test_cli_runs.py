"""Which drops can run again, and what is asked for them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from headrace_local.api_client import DropItem
from headrace_local.errors import PlatformError, UserError
from headrace_local.runs import (
    check_revertable,
    drop_of,
    end_states,
    moment_named,
    next_run,
    replay_of,
    requested,
    revert_of,
    table_named,
)
from headrace_shared.drop import Action, Drop
from headrace_shared.log_schema import END_STATES, State
from headrace_shared.reruns import requested_at

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ASKED = requested_at(NOW)


def an_item(**changes: Any) -> DropItem:
    facts: dict[str, Any] = {
        "drop_id": uuid4(),
        "bucket": "lake",
        "key": "dev/append/t/a.csv",
        "etag": "e1",
        "version_id": "v1",
        "sequencer": "00AB",
        "bytes": 12,
        "state": State.LOADED,
        "landed_timestamp": NOW,
        "landed_at": NOW + timedelta(milliseconds=120),
        "db_name": "dev",
        "action": "append",
        "table_name": "t",
        "file": "a.csv",
    }
    return DropItem.model_validate(facts | changes)


def test_drop_of_the_api_is_the_drop_that_landed() -> None:
    item = an_item()
    assert drop_of(item) == Drop(
        drop_id=item.drop_id,
        bucket="lake",
        key="dev/append/t/a.csv",
        version_id="v1",
        etag="e1",
        size_bytes=12,
        sequencer="00AB",
        landed_at=NOW + timedelta(milliseconds=120),
        db_name="dev",
        action=Action.APPEND,
        table_name="t",
        file="a.csv",
    )


def test_drop_without_a_good_key_can_be_asked_for_too() -> None:
    item = an_item(db_name=None, action=None, table_name=None, file=None, landed_at=None)
    assert drop_of(item).action is None
    assert drop_of(item).landed_at == NOW


@pytest.mark.parametrize("missing", ["etag", "bytes"])
def test_api_that_does_not_tell_what_the_object_is_is_too_old(missing: str) -> None:
    with pytest.raises(PlatformError, match="etag and the size"):
        drop_of(an_item(**{missing: None}))


@pytest.mark.parametrize("make", [replay_of, revert_of])
def test_request_bears_its_run_and_the_trace_of_the_drop(make: Any) -> None:
    item = an_item()
    fact = make(item, 17)
    assert (fact.run, fact.drop.drop_id) == (17, item.drop_id)
    assert item.drop_id.hex in (fact.traceparent or "")


def test_run_is_the_moment_in_milliseconds_and_later_than_any_before() -> None:
    assert ASKED == 1_795_176_000_000
    assert next_run(an_item(), ASKED) == ASKED
    assert next_run(an_item(run=ASKED + 5), ASKED) == ASKED + 6


def test_requested_drop_is_no_longer_at_its_end() -> None:
    item = requested(an_item(state=State.LOADED), ASKED)
    assert (item.state, item.run, item.ended) == (State.REQUESTED, ASKED, False)


@pytest.mark.parametrize("action", list(Action))
@pytest.mark.parametrize("state", sorted(END_STATES))
def test_drop_in_every_final_state_can_be_reverted(state: State, action: Action) -> None:
    check_revertable(an_item(state=state, action=action, stage="load"))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"state": State.LOADING}, "no final state yet"),
        ({"state": State.WAITING}, "no final state yet"),
        ({"state": State.REJECTED, "stage": "route"}, "never became a drop"),
    ],
)
def test_drop_unknown_to_the_loader_is_not_reverted(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(UserError, match=why):
        check_revertable(an_item(**changes))


def test_table_is_named_with_its_database_in_any_case() -> None:
    assert table_named("Dev.Users") == ("dev", "users")


@pytest.mark.parametrize("text", ["users", "dev.", ".users", "dev.users.x", "dev.us-ers", ""])
def test_what_names_no_table_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="not the name of a table"):
        table_named(text)


def test_end_states_are_taken_once_each() -> None:
    assert end_states(["failed", "loaded", "failed"]) == (State.FAILED, State.LOADED)


@pytest.mark.parametrize("name", ["loading", "FAILED", "gone"])
def test_state_that_is_no_end_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="cannot be chosen"):
        end_states([name])


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-19", datetime(2026, 11, 19, tzinfo=UTC)),
        ("2026-11-19T22:30:00Z", datetime(2026, 11, 19, 22, 30, tzinfo=UTC)),
        ("2026-11-19 22:30", datetime(2026, 11, 19, 22, 30, tzinfo=UTC)),
        ("2026-11-19T22:30:00+02:00", datetime(2026, 11, 19, 20, 30, tzinfo=UTC)),
        ("90m", NOW - timedelta(minutes=90)),
        ("7d", NOW - timedelta(days=7)),
    ],
)
def test_moment_is_a_date_or_a_time_or_how_long_ago(text: str, moment: datetime) -> None:
    assert moment_named("--since", text, NOW) == moment


@pytest.mark.parametrize("text", ["yesterday", "7", "7w", "-7d", "999999d", "2026-13-01", ""])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="not a moment"):
        moment_named("--since", text, NOW)
