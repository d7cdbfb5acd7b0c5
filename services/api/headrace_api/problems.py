"""Errors as RFC 9457 problem documents: what was wrong, which parameter, and what to do."""

from __future__ import annotations

from typing import Any, Final

from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

MEDIA_TYPE: Final = "application/problem+json"

_TYPES: Final = "https://headrace.dev/problems/"
_RETRY_SECONDS: Final = 5


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
        self, slug: str, title: str, status: int, detail: str, *, parameter: str | None = None
    ) -> None:
        super().__init__(detail)
        self.problem = Problem(
            type=f"{_TYPES}{slug}", title=title, status=status, detail=detail, parameter=parameter
        )


def invalid_parameter(parameter: str, detail: str) -> ApiError:
    """A parameter that cannot be taken."""
    return ApiError(
        "invalid-parameter", "A parameter is not valid", 400, detail, parameter=parameter
    )


def not_found(detail: str) -> ApiError:
    """There is no such thing."""
    return ApiError("not-found", "Not found", 404, detail)


def unavailable(what: str) -> ApiError:
    """Something that the answer needs cannot be reached now."""
    return ApiError(
        "unavailable",
        "Temporarily unavailable",
        503,
        f"{what} cannot be reached at the moment; try again in {_RETRY_SECONDS} seconds.",
    )


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
    headers = {"Retry-After": str(_RETRY_SECONDS)} if problem.status == 503 else None
    body: dict[str, Any] = problem.model_dump(exclude_none=True)
    return JSONResponse(body, status_code=problem.status, headers=headers, media_type=MEDIA_TYPE)
