"""The OpenAPI document: what the framework writes, with errors as they really are."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from headrace_api.problems import MEDIA_TYPE

_PROBLEM: Final = {"$ref": "#/components/schemas/Problem"}

_NEVER_ANSWERED: Final = ("HTTPValidationError", "ValidationError")
"""The framework's own errors; ours are problem documents with status 400."""


def document(app: FastAPI) -> dict[str, Any]:
    """The document, made once."""
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        for operations in made["paths"].values():
            for operation in operations.values():
                _correct(operation["responses"])
        for name in _NEVER_ANSWERED:
            made["components"]["schemas"].pop(name, None)
        app.openapi_schema = made
    return app.openapi_schema


def _correct(responses: dict[str, Any]) -> None:
    responses.pop("422", None)
    for response in responses.values():
        if response.get("content", {}).get("application/json", {}).get("schema") == _PROBLEM:
            response["content"] = {MEDIA_TYPE: {"schema": _PROBLEM}}
