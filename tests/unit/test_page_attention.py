"""What Attention shows: drops with what can be done, and dead letters of whatever content."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from headrace_api.operating import DeadLetter, DeadLetterList, DeadLetterQueue
from headrace_api.page.attention_view import how_many, letter_line, needs_of, queue_lines
from headrace_api.page.rendering import rendered
from headrace_shared.log_schema import State

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SENT = datetime(2026, 11, 20, 9, tzinfo=UTC)
HOSTILE = '<img src=x onerror="alert(1)">'


def item(state: State, **more: Any) -> dict[str, Any]:
    return {
        "drop_id": str(UUID(int=1)),
        "key": "dev/append/users/a.csv",
        "db_name": "dev",
        "action": "append",
        "table_name": "users",
        "state": str(state),
        "updated_at": "2026-11-20T11:59:59.000Z",
        "landed_timestamp": "2026-11-20T11:59:58Z",
        **more,
    }


def letter(service: str = "loader", **more: Any) -> DeadLetter:
    about: dict[str, Any] = {
        "message_id": "m1",
        "sent_at": SENT,
        "first_received_at": SENT,
        "receive_count": 1_021,
        **more,
    }
    return DeadLetter(service=service, **about)


def readable() -> DeadLetter:
    return letter(
        kind="Drop Routed",
        drop_id=UUID(int=7),
        db_name="dev",
        table_name="users",
        key="dev/append/users/a.csv",
    )


def found(shown: int, about: int | None, *, complete: bool) -> DeadLetterList:
    queues = [DeadLetterQueue(service="loader", about=about, complete=complete)]
    return DeadLetterList(items=[letter()] * shown, queues=queues)


def html_of(*letters: DeadLetter) -> str:
    lines = [letter_line(one, NOW) for one in letters]
    queues = [DeadLetterQueue(service="loader", about=len(lines), complete=True)]
    told = queue_lines(DeadLetterList(items=list(letters), queues=queues))
    return rendered("_letters.html", queues=told, letters=lines, how_many=str(len(lines)))


def test_a_letter_tells_its_drop_and_how_long_it_waits() -> None:
    line = letter_line(readable(), NOW)
    assert (line.what, line.table, line.table_path) == (
        "Drop Routed",
        "dev.users",
        "/tables/dev/users",
    )
    assert (line.key, line.path) == ("dev/append/users/a.csv", f"/drops/{UUID(int=7)}")
    assert line.since is not None
    assert (line.since.relative, line.tries) == ("3 hours ago", "1,021")


def test_a_letter_that_cannot_be_read_tells_why_and_how_it_begins() -> None:
    line = letter_line(letter(unreadable="It is not JSON.", beginning="poi\x00son"), NOW)
    assert (line.what, line.beginning) == ("unreadable: It is not JSON.", r"poi\x00son")
    assert (line.table, line.key, line.path) == (None, "", None)


@pytest.mark.parametrize(
    ("shown", "about", "complete", "told"),
    [
        (1, 1, True, ["1 dead letter"]),
        (10, 12, False, ["about 12, 10 shown"]),
        (3, None, False, ["more may lie there, 3 shown"]),
        (0, 2, False, ["about 2, 0 shown"]),
        (0, 0, True, []),
    ],
)
def test_a_queue_tells_how_much_of_it_is_shown(
    shown: int, about: int | None, complete: bool, told: list[str]
) -> None:
    assert [one.told for one in queue_lines(found(shown, about, complete=complete))] == told


def test_the_count_says_when_there_may_be_more() -> None:
    assert how_many(found(10, 12, complete=False)) == "10 and more"
    assert how_many(found(2, 2, complete=True)) == "2"
    assert how_many(found(0, 0, complete=True)) == "0"


def test_each_letter_and_each_queue_can_be_redriven() -> None:
    html = html_of(readable())
    assert "{&#34;message_ids&#34;: [&#34;m1&#34;], &#34;service&#34;: &#34;loader&#34;}" in html
    assert "{&#34;service&#34;: &#34;loader&#34;}" in html


def test_hostile_letters_stay_text() -> None:
    hostile = letter(
        message_id=HOSTILE, unreadable=HOSTILE, beginning=HOSTILE, key=HOSTILE, db_name=HOSTILE
    )
    html = html_of(hostile, letter(kind=HOSTILE, key=HOSTILE, drop_id=UUID(int=7)))
    assert "<img" not in html
    assert 'onerror="' not in html


def test_letters_that_others_look_at_are_told_of() -> None:
    told = queue_lines(found(0, 2, complete=False))
    html = rendered("_letters.html", queues=told, letters=[], how_many="0 and more")
    assert "somebody else is looking at them" in html


def test_drops_stand_by_what_is_wrong_with_them() -> None:
    reason = {"message": "No contract.", "remedy": "Drop\x07 one."}
    needs = needs_of([item(State.WAITING, reason=reason), item(State.FAILED)], NOW)
    assert [(state, len(lines)) for state, lines in needs.items()] == [
        (State.FAILED, 1),
        (State.REJECTED, 0),
        (State.WAITING, 1),
    ]
    assert needs[State.WAITING][0].remedy == r"Drop\x07 one."


@pytest.mark.parametrize(
    ("state", "db_name", "offered"),
    [
        (State.REJECTED, "dev", True),
        (State.FAILED, "dev", True),
        (State.REJECTED, None, False),
        (State.WAITING, "dev", False),
    ],
)
def test_a_replay_is_offered_where_it_can_end_in_another_way(
    state: State, db_name: str | None, offered: bool
) -> None:
    (need,) = needs_of([item(state, db_name=db_name)], NOW)[state]
    assert need.may_be_replayed is offered
