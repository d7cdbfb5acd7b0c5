"""The OpenAPI document: what the framework writes, with errors as they really are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from headrace_api.authentication import Require
from headrace_api.callers import Scope
from headrace_api.problems import MEDIA_TYPE

_PROBLEM: Final = {"$ref": "#/components/schemas/Problem"}

TAGGED: Final = frozenset(
    {"/v1/drops/{drop_id}", "/v1/tables/{db_name}/{table_name}", "/v1/contract-schema"}
)
"""Routes of single resources, whose answers have an ETag."""

_SCHEMES: Final = {
    "key": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "hr_<key id>_<secret>",
        "description": "An API key, made by `headrace keys create`.",
    },
    "token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A token of the OIDC issuer, where the API takes one's.",
    },
}

_REFUSALS: Final = {
    "400": "A parameter is not valid.",
    "401": "Who asks is not known.",
    "403": "The caller lacks the scope.",
    "429": "The caller asks too often; `Retry-After` says when to ask again.",
    "503": "Something that the answer needs cannot be reached.",
}

_NEVER_ANSWERED: Final = ("HTTPValidationError", "ValidationError")
"""The framework's own errors; ours are problem documents with status 400."""


def document(app: FastAPI) -> dict[str, Any]:
    """The document, made once."""
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        for of_path in made["paths"].values():
            for operation in of_path.values():
                _correct(operation["responses"])
        for path, method, scope in guarded(app):
            # A path of the page is no part of the document.
            if path in made["paths"]:
                _guard(made["paths"][path][method], scope)
        for path in TAGGED & made["paths"].keys():
            made["paths"][path]["get"]["responses"]["304"] = {"description": "It has not changed."}
        made["components"]["securitySchemes"] = _SCHEMES
        for name in _NEVER_ANSWERED:
            made["components"]["schemas"].pop(name, None)
        app.openapi_schema = made
    return app.openapi_schema


def _correct(responses: dict[str, Any]) -> None:
    responses.pop("422", None)
    for response in responses.values():
        if response.get("content", {}).get("application/json", {}).get("schema") == _PROBLEM:
            response["content"] = {MEDIA_TYPE: {"schema": _PROBLEM}}


def guarded(app: FastAPI) -> Iterator[tuple[str, str, Scope]]:
    """Path, method (in small letters) and scope of each operation that needs one."""
    for route in operations(app.routes):
        scope = scope_of(route.dependant)
        if scope is not None:
            for method in route.methods or ():
                yield route.path, method.lower(), scope


def operations(routes: Sequence[object]) -> Iterator[APIRoute]:
    """Every operation; a router that was included stands among the routes as a whole."""
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        included = getattr(route, "original_router", None)
        if included is not None:
            yield from operations(included.routes)


def scope_of(dependant: Dependant) -> Scope | None:
    """The scope that an operation needs, by what it depends on; None: anybody may."""
    if isinstance(dependant.call, Require):
        return dependant.call.scope
    return next(filter(None, map(scope_of, dependant.dependencies)), None)


def _guard(operation: dict[str, Any], scope: Scope) -> None:
    operation["security"] = [{name: []} for name in _SCHEMES]
    told: Mapping[str, Any] = operation["responses"]
    refusals = {
        status: {"description": why, "content": {MEDIA_TYPE: {"schema": _PROBLEM}}}
        for status, why in _REFUSALS.items()
    }
    operation["responses"] = refusals | dict(told)
    words = operation.get("description", "")
    operation["description"] = f"{words}\n\nNeeds the scope `{scope}`.".strip()
