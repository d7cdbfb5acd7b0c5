"""The OpenAPI document: what the framework writes, with errors as they really are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from headrace_api import models, operating, reports
from headrace_api.authentication import Require
from headrace_api.callers import Scope
from headrace_api.problem_examples import Asked, problem_example
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

_REFUSALS_OF_BODIES: Final = {
    "408": "The request's body is too slow.",
    "413": "The request's body is too large.",
}

_NEVER_ANSWERED: Final = ("HTTPValidationError", "ValidationError")
"""The framework's own errors; ours are problem documents with status 400."""


def document(app: FastAPI) -> dict[str, Any]:
    """The document, made once."""
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        scopes = {(path, method): scope for path, method, scope in guarded(app)}
        for path, of_path in made["paths"].items():
            for method, operation in of_path.items():
                _correct(operation, path, scopes.get((path, method)))
        for path in TAGGED & made["paths"].keys():
            made["paths"][path]["get"]["responses"]["304"] = {"description": "It has not changed."}
        made["components"]["securitySchemes"] = _SCHEMES
        _make_examples_whole(made["components"]["schemas"])
        for name in _NEVER_ANSWERED:
            made["components"]["schemas"].pop(name, None)
        app.openapi_schema = made
    return app.openapi_schema


def _make_examples_whole(schemas: Mapping[str, Any]) -> None:
    """The framework leaves out of examples whatever is null; an answer has every field."""
    for module in (models, operating, reports):
        for name, model in vars(module).items():
            extra = getattr(model, "model_config", {}).get("json_schema_extra", {})
            if name in schemas and "example" in extra:
                schemas[name]["example"] = extra["example"]


def _correct(operation: dict[str, Any], path: str, scope: Scope | None) -> None:
    if scope is not None:
        operation["security"] = [{name: []} for name in _SCHEMES]
        words = operation.get("description", "")
        operation["description"] = f"{words}\n\nNeeds the scope `{scope}`.".strip()
    responses = _refusals(operation, scope) | operation["responses"]
    responses.pop("422", None)
    operation["responses"] = dict(sorted(responses.items()))
    asked = Asked(path, tuple(_query_names(operation)), scope)
    for status, response in operation["responses"].items():
        if _is_problem(response):
            example = problem_example(status, asked)
            response["content"] = {MEDIA_TYPE: {"schema": _PROBLEM, "example": example}}


def _refusals(operation: Mapping[str, Any], scope: Scope | None) -> dict[str, Any]:
    """What is answered before an operation itself is reached."""
    told = dict(_REFUSALS) if scope is not None else {}
    if "requestBody" in operation:
        told |= _REFUSALS_OF_BODIES
    content = {MEDIA_TYPE: {"schema": _PROBLEM}}
    return {status: {"description": why, "content": content} for status, why in told.items()}


def _query_names(operation: Mapping[str, Any]) -> Iterator[str]:
    """An object stands for parameters whose names hang on something else."""
    for one in operation.get("parameters", ()):
        if one["in"] == "query" and one["schema"].get("type") != "object":
            yield one["name"]


def _is_problem(response: Mapping[str, Any]) -> bool:
    return any(one.get("schema") == _PROBLEM for one in response.get("content", {}).values())


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
