"""The HTTP API as the commands use it: typed answers, and errors that say what to do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from uuid import UUID

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from headrace_local.errors import CommandError, PlatformError, UserError
from headrace_local.target import KEY_VARIABLE, find_key
from headrace_shared.log_schema import END_STATES, State
from headrace_shared.reasons import BadRow, LoadWarning, Reason, TestResult

PAGE_LIMIT: Final = 500
"""The most items that the API gives in one page."""

_TIMEOUT_SECONDS: Final = 10.0


class _Answer(BaseModel):
    # What a newer API adds is kept, so that --json shows it.
    model_config = ConfigDict(frozen=True, extra="allow")


Answer = TypeVar("Answer", bound=_Answer)


class Step(_Answer):
    """One step of a drop's timeline."""

    at: datetime
    state: str
    stage: str | None = None
    status: str | None = None
    attempt: int | None = None
    message: str | None = None


class DropItem(_Answer):
    """One drop as the log has it."""

    drop_id: UUID
    bucket: str
    key: str
    state: State
    stage: str | None = None
    landed_timestamp: datetime
    landed_at: datetime | None = None
    db_name: str | None = None
    action: str | None = None
    table_name: str | None = None
    file: str | None = None
    etag: str | None = None
    sequencer: str | None = None
    version_id: str | None = None
    rows_loaded: int | None = None
    rows_quarantined: int | None = None
    bad_rows: tuple[BadRow, ...] | None = None
    warnings: tuple[LoadWarning, ...] | None = None
    tests: tuple[TestResult, ...] | None = None
    corrects: UUID | None = None
    corrected_by: UUID | None = None
    rows_removed: int | None = None
    bytes: int | None = None
    duration_ms: int | None = None
    load_ms: int | None = None
    attempts: int | None = None
    reason: Reason | None = None
    superseded_by: UUID | None = None
    retry_at: datetime | None = None
    changes: tuple[str, ...] | None = None
    run: int = 0
    updated_at: datetime | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it by itself."""
        return self.state in END_STATES

    @property
    def landed(self) -> datetime:
        """The landing time, as precisely as the API gives it."""
        return self.landed_at or self.landed_timestamp

    @property
    def took_ms(self) -> int | None:
        """Milliseconds to the end: from the landing, or of a later run from its request."""
        if not self.run or self.updated_at is None or not self.ended:
            return self.duration_ms
        return max(round(self.updated_at.timestamp() * 1000) - self.run, 0)


class DropStory(DropItem):
    """One drop with everything that happened to it."""

    timeline: tuple[Step, ...] = ()

    @property
    def landed(self) -> datetime:
        """As precisely as can be told: an end and how long it took give the milliseconds."""
        ends = [step.at for step in self.timeline if step.state == self.state]
        if self.landed_at is not None or self.duration_ms is None or not ends:
            return super().landed
        return ends[-1] - timedelta(milliseconds=self.duration_ms)


class TableItem(_Answer):
    """One table of the warehouse that has a contract; the list leaves rows and drops out."""

    db_name: str
    table_name: str
    last_loaded_at: datetime | None = None
    row_count: int | None = None
    row_count_is_exact: bool = True
    drops_by_state: dict[str, int] = Field(default_factory=dict)


class ApiUnreachableError(PlatformError):
    """The API gave no answer, or none of its own; it may a moment later."""


class ApiClient:
    """The calls that the commands make; close it, or use it in a `with`.

    Args:
        key: None: the one of the environment or of `stack.json`, if there is one.
    """

    def __init__(
        self,
        base_url: str,
        *,
        key: str | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        key = key or find_key(self.base_url)
        self._http = httpx.Client(
            timeout=_TIMEOUT_SECONDS,
            transport=transport,
            headers={"Authorization": f"Bearer {key}"} if key else {},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def drops(
        self,
        *,
        landed_from: datetime | None = None,
        landed_to: datetime | None = None,
        table: tuple[str, str] | None = None,
        state: State | None = None,
        key: str | None = None,
        limit: int = PAGE_LIMIT,
    ) -> Iterator[DropItem]:
        """The drops that landed in `landed_from`..`landed_to`, newest first, page after page.

        Args:
            table: db_name and table_name, to ask for the drops of one table only.
            state: to ask for the drops in one state only.
            key: to ask for the drops of one key only.
            limit: the size of a page; stop iterating to leave the rest unasked.
        """
        db_name, table_name = table or (None, None)
        asked: dict[str, str | int | None] = {
            "limit": limit,
            "db_name": db_name,
            "table_name": table_name,
            "state": state.value if state else None,
            "key": key,
            "landed_from": rfc3339(landed_from) if landed_from else None,
            "landed_to": rfc3339(landed_to) if landed_to else None,
        }
        query = {name: value for name, value in asked.items() if value is not None}
        while True:
            page = self.get("/v1/drops", query)
            for item in page.get("items", []):
                yield self._read(DropItem, item)
            if not page.get("next_cursor"):
                return
            query["cursor"] = page["next_cursor"]

    def drop(self, drop_id: UUID) -> DropStory:
        """One drop with its timeline."""
        return self._read(DropStory, self.get(f"/v1/drops/{drop_id}"))

    def log_lag_seconds(self) -> float | None:
        """How far the log is behind what happens; None where that is not known."""
        lag: float | None = self.get("/v1/log").get("lag_seconds")
        return lag

    def tables(self) -> list[TableItem]:
        """Every table with a contract."""
        items = self.get("/v1/tables").get("items", [])
        return [self._read(TableItem, item) for item in items]

    def table(self, db_name: str, table_name: str) -> TableItem:
        """One table with its rows and the states of its drops."""
        return self._read(TableItem, self.get(f"/v1/tables/{db_name}/{table_name}"))

    def contract_in_force(self, db_name: str, table_name: str) -> dict[str, Any]:
        """The document of the contract that a table has the shape of."""
        path = f"/v1/tables/{db_name}/{table_name}"
        found: dict[str, Any] = self.get(path).get("contract", {})
        return found

    def get(self, path: str, query: dict[str, str | int] | None = None) -> Any:
        """The JSON document at a path.

        Raises:
            ApiUnreachableError: nothing that speaks HTTP answered, or the API cannot work now.
            UserError: the API says that the request is at fault.
        """
        try:
            answer = self._http.get(f"{self.base_url}{path}", params=query)
        except httpx.InvalidURL as error:
            raise UserError(
                f"The address of the API is not a URL: {error}.",
                self.base_url,
                "Give one like http://127.0.0.1:8080 with --api-url or HEADRACE_API_URL.",
            ) from None
        except httpx.UnsupportedProtocol:
            raise UserError(
                "The address of the API does not begin with http:// or https://.",
                self.base_url,
                "Give one like http://127.0.0.1:8080 with --api-url or HEADRACE_API_URL.",
            ) from None
        except httpx.TransportError as error:
            raise self._unreachable(
                f"does not answer ({str(error) or type(error).__name__})"
            ) from None
        if not answer.is_success:
            raise self._refusal(answer)
        try:
            return answer.json()
        except ValueError:
            raise self._unreachable("answers with something that is not JSON") from None

    def _read(self, model: type[Answer], item: Any) -> Answer:
        try:
            return model.model_validate(item)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = "/".join(str(part) for part in first["loc"])
            raise self._unreachable(f"answers with a {place} unknown to this command") from None

    def _unreachable(self, how: str) -> ApiUnreachableError:
        return ApiUnreachableError(
            f"The API {how}.",
            self.base_url,
            "Is it the right address, and does the platform run? `headrace up` starts one here; "
            "--api-url or HEADRACE_API_URL names another.",
        )

    def _refusal(self, answer: httpx.Response) -> CommandError:
        where = str(answer.request.url)
        said = _problem(answer)
        if answer.status_code in (502, 503, 504):
            return ApiUnreachableError(
                f"The API cannot work just now: {said}", where, "Try again in a moment."
            )
        if answer.status_code >= 500:
            return PlatformError(
                f"The API failed: {said}", where, "Look at its log (`headrace up -v` shows it)."
            )
        if answer.status_code in (401, 403):
            return UserError(
                f"The API does not let you: {said}",
                where,
                f"Set {KEY_VARIABLE} to a key that may; `headrace keys create` makes one.",
            )
        if answer.status_code == 404:
            return UserError(
                f"Not found: {said}", where, "`headrace status` lists the latest drops."
            )
        return UserError(
            f"The API refuses the request: {said}", where, "Mend the request, or see /docs there."
        )


def rfc3339(moment: datetime) -> str:
    """The moment as the API takes it: RFC 3339, UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _problem(answer: httpx.Response) -> str:
    """The sentence of an RFC 9457 problem document, or else the status line."""
    try:
        document = answer.json()
    except ValueError:
        document = None
    told = document if isinstance(document, dict) else {}
    text = told.get("detail") or told.get("title")
    return str(text) if text else f"{answer.status_code} {answer.reason_phrase}"
