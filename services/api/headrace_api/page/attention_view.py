"""What is shown of what needs somebody: drops and dead letters, without I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from headrace_api.operating import DeadLetter, DeadLetterList, DeadLetterQueue
from headrace_api.page.drop_view import DropLine, Item, drop_line, may_be_replayed
from headrace_api.page.words import Moment, count, moment, several, visible
from headrace_shared.log_schema import State

IN_NEED: Final = (State.FAILED, State.REJECTED, State.WAITING)


@dataclass(frozen=True, slots=True)
class NeedLine:
    """A drop that needs somebody, and what they can do."""

    drop: DropLine
    remedy: str
    may_be_replayed: bool


@dataclass(frozen=True, slots=True)
class LetterLine:
    """A dead letter: what it says, or why that cannot be told and how it begins."""

    service: str
    message_id: str
    what: str
    beginning: str
    table: str | None
    table_path: str | None
    key: str
    path: str | None
    since: Moment | None
    tries: str


@dataclass(frozen=True, slots=True)
class QueueLine:
    """A dead-letter queue in which something lies, and how much of it is shown."""

    service: str
    told: str


def needs_of(items: Iterable[Item], now: datetime) -> dict[State, list[NeedLine]]:
    """The drops by what is wrong with them, in the order in which that is shown."""
    lines: dict[State, list[NeedLine]] = {state: [] for state in IN_NEED}
    for item in items:
        remedy = visible((item.get("reason") or {}).get("remedy"))
        line = NeedLine(drop_line(item, now), remedy, may_be_replayed(item, now))
        lines[State(item["state"])].append(line)
    return lines


def letter_line(letter: DeadLetter, now: datetime) -> LetterLine:
    """A dead letter as one line; anybody may have written it."""
    table = ".".join(filter(None, (letter.db_name, letter.table_name)))
    return LetterLine(
        service=letter.service,
        message_id=letter.message_id,
        what=f"unreadable: {visible(letter.unreadable)}"
        if letter.unreadable
        else letter.kind or "",
        beginning=visible(letter.beginning),
        table=table or None,
        table_path=f"/tables/{letter.db_name}/{letter.table_name}" if table else None,
        key=visible(letter.key),
        path=f"/drops/{letter.drop_id}" if letter.drop_id else None,
        since=moment(letter.sent_at.isoformat() if letter.sent_at else None, now),
        tries=count(letter.receive_count),
    )


def queue_lines(found: DeadLetterList) -> list[QueueLine]:
    """The queues in which something lies, or may."""
    shown: Mapping[str, int] = {
        queue.service: sum(letter.service == queue.service for letter in found.items)
        for queue in found.queues
    }
    return [
        QueueLine(queue.service, _told(queue, shown[queue.service]))
        for queue in found.queues
        if shown[queue.service] or not queue.complete
    ]


def how_many(found: DeadLetterList) -> str:
    """`3`, or `3 and more`."""
    is_all = all(queue.complete for queue in found.queues)
    return count(len(found.items)) + ("" if is_all else " and more")


def _told(queue: DeadLetterQueue, shown: int) -> str:
    if queue.complete:
        return several(shown, "dead letter")
    about = f"about {count(queue.about)}" if queue.about is not None else "more may lie there"
    return f"{about}, {count(shown)} shown"
