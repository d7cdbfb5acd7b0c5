"""With what the operations act that do more than read: each part as far as a setting names it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Annotated, Any, Final, cast

from fastapi import Depends, Header, Request, Response

from headrace_api.answers import Answers, RequestName
from headrace_api.authentication import require
from headrace_api.callers import Caller, Scope
from headrace_api.dead_letters import DeadLetters
from headrace_api.examples import IDEMPOTENCY_KEY
from headrace_api.kept_rows import KeptRows
from headrace_api.landings import Landings
from headrace_api.problems import not_set_up
from headrace_api.remembered import Remembered
from headrace_api.reports import Stats
from headrace_api.settings import ApiSettings
from headrace_shared.aws import AwsClients
from headrace_shared.bus import EventBridgeBus

_CONNECTIONS: Final = 20
_STATS_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Means:
    """Kept in the application's state; None, or no queues, where no setting names them."""

    answers: Answers
    landings: Landings
    stats: Remembered[Stats]
    kept_rows: KeptRows | None
    bus: EventBridgeBus | None
    queues: Mapping[str, DeadLetters]

    def needed_bus(self) -> EventBridgeBus:
        """Raises ApiError (501) where there is none."""
        if self.bus is None:
            raise not_set_up("HEADRACE_BUS_NAME")
        return self.bus

    def needed_rows(self) -> KeptRows:
        """Raises ApiError (501) where there are none."""
        if self.kept_rows is None:
            raise not_set_up("HEADRACE_QUARANTINE_BUCKET")
        return self.kept_rows

    def needed_queues(self, service: str | None) -> list[DeadLetters]:
        """Of one service or of all; raises ApiError (501) where there are none."""
        found = [one for name, one in self.queues.items() if service in (None, name)]
        if not found:
            raise not_set_up("HEADRACE_DEAD_LETTER_QUEUES" + (f" of {service}" if service else ""))
        return found


async def open_means(settings: ApiSettings, stack: AsyncExitStack) -> Means:
    """Connects to nothing before it is needed."""
    clients = AwsClients(stack, connections=_CONNECTIONS)
    log, bucket = await clients.open("dynamodb"), settings.quarantine_bucket
    sqs = await clients.open("sqs", poll_seconds=1)
    return Means(
        answers=Answers(log, settings.log_table),
        landings=Landings(log, settings.log_table),
        stats=Remembered(_STATS_SECONDS),
        kept_rows=KeptRows(await clients.open("s3"), bucket) if bucket else None,
        bus=EventBridgeBus(await clients.open("events"), settings.bus_name)
        if settings.bus_name
        else None,
        queues={
            service: DeadLetters(sqs, service, url, settings.inboxes[service])
            for service, url in settings.dead_letter_queues.items()
        },
    )


async def act_once(
    means: Means,
    response: Response,
    name: RequestName | None,
    act: Callable[[], Awaitable[dict[str, Any]]],
) -> dict[str, Any]:
    """The answer of an act; one that was given before is marked as such."""
    answer, again = await means.answers.once(name, act)
    if again:
        response.headers[AGAIN] = "true"
    return answer


def request_name(
    caller: Caller, operation: str, key: str | None, body: Mapping[str, Any]
) -> RequestName | None:
    """By which a request that may be repeated is known; None without an `Idempotency-Key`."""
    return RequestName.of(caller.name, operation, key, body) if key else None


async def means(request: Request) -> Means:
    """The means of this process."""
    return cast("Means", request.app.state.means)


FromMeans = Annotated[Means, Depends(means)]
RowsReader = Annotated[Caller, Depends(require(Scope.ROWS))]
"""The caller, who may see what stands in rows."""
Operator = Annotated[Caller, Depends(require(Scope.OPERATE))]
"""The caller, who may change something."""
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="The same key gives the same answer for a day, and nothing is done again.",
        examples=[IDEMPOTENCY_KEY],
    ),
]
AGAIN: Final = "Idempotency-Replayed"
"""A header of answers that were given before."""
