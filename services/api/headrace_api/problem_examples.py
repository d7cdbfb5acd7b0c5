"""Which problem each status of an operation stands for: the examples of the API's document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from headrace_api import problems
from headrace_api.answers import of_another_request
from headrace_api.examples import DROP_ID, REQUEST_ID
from headrace_api.problems import ApiError
from headrace_api.rows.forms import Form
from headrace_shared.identifiers import RULE

_CALLER: Final = "nightly-report (9f2c41d07ab3)"
_SETTINGS: Final = {
    "quarantine": "HEADRACE_QUARANTINE_BUCKET",
    "dead-letters": "HEADRACE_DEAD_LETTER_QUEUES",
    "replay": "HEADRACE_BUS_NAME",
}
"""What an operation needs, by a part of its path."""


@dataclass(frozen=True, slots=True)
class Asked:
    """An operation, as far as its refusals hang on it.

    Args:
        parameters: those of the query.
        scope: None: it needs none.
    """

    path: str
    parameters: tuple[str, ...]
    scope: str | None


def problem_example(status: str, asked: Asked) -> dict[str, Any]:
    """A problem document with that status, as this operation answers it."""
    problem = _BY_STATUS[status](asked).problem.model_copy(update={"request_id": REQUEST_ID})
    return problem.model_dump(exclude_none=True)


def _missing(asked: Asked) -> ApiError:
    if "{drop_id}" in asked.path:
        return problems.not_found(f"No drop {DROP_ID} is in the log.")
    return problems.not_found(f"No table can have this name; a name is {RULE}.")


def _not_set_up(asked: Asked) -> ApiError:
    setting = next(one for part, one in _SETTINGS.items() if part in asked.path)
    return problems.not_set_up(setting)


_BY_STATUS: Final[Mapping[str, Callable[[Asked], ApiError]]] = {
    "400": lambda asked: problems.unknown_parameter("tabel", asked.parameters),
    "401": lambda _: problems.unauthorized("This API key is not known."),
    "403": lambda asked: problems.forbidden(f"{_CALLER} lacks the scope {asked.scope}."),
    "404": _missing,
    "406": lambda _: problems.not_acceptable(Form),
    "408": lambda _: problems.too_slow(10),
    "409": lambda _: of_another_request(),
    "413": lambda _: problems.too_large(65_536),
    "429": lambda _: problems.too_many(f"{_CALLER} asks too often", 3),
    "501": _not_set_up,
    "503": lambda _: problems.unavailable("The log"),
    "504": lambda _: problems.timed_out(["username"]),
}
