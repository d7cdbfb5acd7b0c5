"""Errors as RFC 9457 problem documents: what was wrong, which parameter, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

MEDIA_TYPE: Final = "application/problem+json"

_TYPES: Final = "https://headrace.dev/problems/"
RETRY_SECONDS: Final = 5
_PARTS: Final = {
    "the warehouse": "The warehouse",
    "the quarantine": "The quarantine",
    "the dead letters": "The queue of the dead letters",
    "publishing": "The bus",
    "the keys": "The table of API keys",
    "the issuer": "The issuer of tokens",
}


class Problem(BaseModel):
    """A problem document; `type` is stable and made for programs."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": f"{_TYPES}invalid-parameter",
                "title": "A parameter is not valid",
                "status": 400,
                "detail": "limit must be at most 500.",
                "parameter": "limit",
                "request_id": "6f1f0c2e",
            }
        }
    )

    type: str
    title: str
    status: int
    detail: str
    parameter: str | None = Field(None, description="The parameter at fault, if one is.")
    request_id: str | None = Field(None, description="Names this request in the API's log.")


class ApiError(Exception):
    """Ends a request with a problem document."""

    def __init__(
        self,
        slug: str,
        title: str,
        status: int,
        detail: str,
        *,
        parameter: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.headers = dict(headers or {})
        self.problem = Problem(
            type=f"{_TYPES}{slug}", title=title, status=status, detail=detail, parameter=parameter
        )


def invalid_parameter(parameter: str, detail: str) -> ApiError:
    """A parameter that cannot be taken."""
    return ApiError(
        "invalid-parameter", "A parameter is not valid", 400, detail, parameter=parameter
    )


def unknown_parameter(name: str, known: Iterable[str]) -> ApiError:
    """A misspelt parameter must not be taken for none."""
    there_are = ", ".join(sorted(known))
    told = f"there are: {there_are}" if there_are else "there are none here"
    return invalid_parameter(name[:64], f"There is no parameter of this name; {told}.")


def unauthorized(detail: str, *, error: str | None = "invalid_token") -> ApiError:
    """Who asks is not known.

    Args:
        error: RFC 6750's word for it; None where the request carries nothing to judge.
    """
    challenge = 'Bearer realm="headrace"' + (f', error="{error}"' if error else "")
    return ApiError(
        "unauthorized", "Not known", 401, detail, headers={"WWW-Authenticate": challenge}
    )


def forbidden(detail: str, *, scope: str | None = None) -> ApiError:
    """The caller is known, and may not.

    Args:
        scope: the one that is lacking, if it is one.
    """
    challenge = f'Bearer realm="headrace", error="insufficient_scope", scope="{scope}"'
    headers = {"WWW-Authenticate": challenge} if scope else {}
    return ApiError("forbidden", "Not allowed", 403, detail, headers=headers)


def too_many(detail: str, retry_seconds: int) -> ApiError:
    """The caller asks too often."""
    return ApiError(
        "too-many-requests",
        "Too many requests",
        429,
        f"{detail}; try again in {retry_seconds} s.",
        headers={"Retry-After": str(retry_seconds)},
    )


def too_large(limit_bytes: int) -> ApiError:
    """The request's body is larger than any operation takes."""
    return ApiError(
        "too-large", "Too large", 413, f"A request's body may have {limit_bytes} bytes at most."
    )


def too_slow(seconds: float) -> ApiError:
    """The request's body did not come in time."""
    return ApiError(
        "too-slow", "Too slow", 408, f"The request's body did not come within {seconds:g} s."
    )


def not_found(detail: str) -> ApiError:
    """There is no such thing."""
    return ApiError("not-found", "Not found", 404, detail)


def not_acceptable(forms: Iterable[str]) -> ApiError:
    """The client takes no form in which the answer is there."""
    return ApiError(
        "not-acceptable",
        "No such form",
        406,
        f"Rows come as {', '.join(forms)}; Accept takes none of them.",
    )


def conflict(detail: str, *, slug: str = "conflict", title: str = "Not possible now") -> ApiError:
    """What is asked for does not go with how things stand."""
    return ApiError(slug, title, 409, detail)


def not_set_up(setting: str) -> ApiError:
    """This API was started without what the operation needs."""
    return ApiError(
        "not-set-up", "Not set up", 501, f"This API was started without {setting}; set it there."
    )


def not_readable(form: str) -> ApiError:
    """What is asked for was written by a version that this one does not know."""
    return ApiError(
        "not-readable",
        "Of another version",
        501,
        f"The rows are kept in the form {form[:64]}, which this version cannot read: update it.",
    )


def unreachable(error: str) -> str:
    """What could not be reached, told by the beginning of a TransientError."""
    for beginning, what in _PARTS.items():
        if error.startswith(beginning):
            return what
    return "The log"


def unavailable(what: str) -> ApiError:
    """Something that the answer needs cannot be reached now."""
    return ApiError(
        "unavailable",
        "Temporarily unavailable",
        503,
        f"{what} cannot be reached at the moment; try again in {RETRY_SECONDS} seconds.",
    )


def timed_out(columns: Iterable[str]) -> ApiError:
    """The warehouse did not answer in the time that a question about rows has.

    Args:
        columns: by which the question may be narrowed.
    """
    return ApiError(
        "timed-out",
        "It took too long",
        504,
        "The warehouse took too long. Narrow the question by a column that has an index "
        f"({', '.join(columns) or 'none is offered'}), or ask for fewer rows; where a load holds "
        "the table, try again.",
    )


def busy(detail: str) -> ApiError:
    """Others have all there is of something."""
    return ApiError("busy", "Too much at once", 503, detail)


def internal() -> ApiError:
    """A bug of ours; its details are in the log, under the request id."""
    return ApiError(
        "internal", "Internal error", 500, "The API failed; its log has the details by request_id."
    )


def http_error(status: int, detail: str) -> ApiError:
    """An error of the framework: no such path, or not that method."""
    slug = {404: "not-found", 405: "method-not-allowed"}.get(status, "http-error")
    return ApiError(slug, detail, status, f"{detail}. The API's operations are listed at /docs.")


def response(error: ApiError, request_id: str | None) -> JSONResponse:
    """The problem as an answer."""
    problem = error.problem.model_copy(update={"request_id": request_id})
    headers = {"Retry-After": str(RETRY_SECONDS)} if problem.status == 503 else {}
    body: dict[str, Any] = problem.model_dump(exclude_none=True)
    return JSONResponse(
        body,
        status_code=problem.status,
        headers=headers | error.headers,
        media_type=MEDIA_TYPE,
    )
