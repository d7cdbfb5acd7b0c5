"""The OpenAPI document: an example for whatever is asked and answered, and each of them true."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from typing import Any, Final
from uuid import UUID

from fastapi import Request
from jsonschema import Draft202012Validator

from headrace_api import examples
from headrace_api.app import VERSION, make_app
from headrace_api.cursors import Cursors
from headrace_api.events.changes import Sight
from headrace_api.models import DropEvent
from headrace_api.prometheus import Figures
from headrace_api.reports import QuarantinedRow
from headrace_api.settings import ApiSettings
from headrace_shared.contract import Contract
from headrace_shared.drop import landing_time

PROBLEM: Final = "application/problem+json"


@cache
def document() -> dict[str, Any]:
    app = make_app(
        ApiSettings(
            log_table="log",
            warehouse_dsn="postgresql://nobody@127.0.0.1/none",
            cursor_secret="a secret of the tests",
            anonymous=True,
        )
    )
    made: dict[str, Any] = json.loads(json.dumps(app.openapi()))
    return made


@dataclass(frozen=True)
class Shown:
    """Something that the document describes by a schema, and its examples."""

    place: str
    status: str
    media_type: str
    schema: Mapping[str, Any]
    examples: tuple[Any, ...]


def operations() -> Iterator[tuple[str, Mapping[str, Any]]]:
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def answers() -> list[Shown]:
    return [
        shown(f"{name} {status} {media_type}", part, status, media_type)
        for name, operation in operations()
        for status, response in operation["responses"].items()
        for media_type, part in response.get("content", {}).items()
    ]


def asked() -> list[Shown]:
    """Parameters and bodies of requests."""
    parameters = [
        shown(f"{name} {parameter['name']}", parameter)
        for name, operation in operations()
        for parameter in operation.get("parameters", ())
    ]
    bodies = [
        shown(f"{name} body", part, media_type=media_type)
        for name, operation in operations()
        for media_type, part in operation.get("requestBody", {}).get("content", {}).items()
    ]
    return parameters + bodies


def shown(place: str, part: Mapping[str, Any], status: str = "", media_type: str = "") -> Shown:
    """A parameter or the content of a body; an example may stand beside its schema or in it."""
    schema = part["schema"]
    found = [one["value"] for one in part.get("examples", {}).values()]
    for of in (part, schema, resolved(schema)):
        found += [of["example"]] if "example" in of else []
        found += of["examples"] if isinstance(of.get("examples"), list) else []
    return Shown(place, status, media_type, schema, tuple(found))


def resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    of: Mapping[str, Any] = document()["components"]["schemas"][name] if name else schema
    return of


@cache
def whole_components() -> dict[str, Any]:
    """The document's schemas, in which each object has all of its fields and no other."""
    components: dict[str, Any] = deepcopy(document()["components"])
    for name, schema in components["schemas"].items():
        if "properties" in schema:
            schema["additionalProperties"] = False
            # What an answer leaves out is null in a problem alone, and requests have defaults.
            if name != "Problem" and not name.endswith("Request"):
                schema["required"] = sorted(schema["properties"])
    return components


def faults(of: Shown) -> list[str]:
    schema = {**of.schema, "components": whole_components()}
    validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    return [f"{of.place}: {e.message}" for one in of.examples for e in validator.iter_errors(one)]


def only(place: str) -> Any:
    """The example of an answer."""
    (found,) = [one for one in answers() if one.place == place]
    return found.examples[0]


def test_every_parameter_and_body_has_an_example() -> None:
    there_are = asked()
    assert [one.place for one in there_are if not one.examples] == []
    assert len(there_are) > 30


def test_every_answer_has_an_example() -> None:
    there_are = answers()
    assert [one.place for one in there_are if not one.examples] == []
    good = {one.place.split(" 2")[0] for one in there_are if one.status.startswith("2")}
    assert good == {name for name, _ in operations()}


def test_every_example_is_what_its_schema_says() -> None:
    assert [fault for one in asked() + answers() for fault in faults(one)] == []


def test_answers_have_schemas_that_say_something() -> None:
    assert [one.place for one in answers() if not one.schema] == []


def test_every_refusal_is_a_problem_of_its_status() -> None:
    refusals = [one for one in answers() if one.status[0] in "45" and "/readyz" not in one.place]
    for one in refusals:
        assert one.media_type == PROBLEM, one.place
        assert [example["status"] for example in one.examples[:1]] == [int(one.status)], one.place
    assert {one.status for one in refusals} >= {"400", "401", "403", "404", "413", "429", "503"}


def test_an_unknown_parameter_is_told_by_those_that_the_operation_has() -> None:
    detail = only(f"GET /v1/stats 400 {PROBLEM}")["detail"]
    assert detail.endswith("there are: db_name, hours, table_name.")


def test_examples_tell_of_one_drop() -> None:
    drop = examples.DROP
    landed = landing_time(UUID(examples.DROP_ID))
    assert f"{landed:%Y-%m-%dT%H:%M:%SZ}" == drop["landed_timestamp"]
    parts = (drop["db_name"], drop["action"], drop["table_name"], drop["file"])
    assert drop["key"] == "/".join(map(str, parts))
    assert Contract.model_validate(examples.CONTRACT).model_dump(mode="json") == examples.CONTRACT


def test_examples_of_texts_are_what_is_sent() -> None:
    *_, event, _ = only("GET /v1/events 200 text/event-stream").split("\n\n")
    told = dict(line.split(": ", 1) for line in event.splitlines())
    assert DropEvent.model_validate_json(told["data"], by_name=True).state == "loaded"
    assert Sight().since(told["id"]) == []

    (row,) = only("GET /v1/drops/{drop_id}/quarantine 200 application/x-ndjson").splitlines()
    assert QuarantinedRow.model_validate_json(row).faults

    figures = Figures(VERSION)
    figures.answered(Request({"type": "http"}), 200, 0.01)
    assert names_in(only("GET /metrics 200 text/plain")) <= names_in(figures.text(0.0).decode())


def names_in(figures: str) -> set[str]:
    """Comments as they are, and of figures all but the numbers."""
    return {re.sub(r"^(?!#)(\w+).*", r"\1", line) for line in figures.splitlines()}


def test_example_of_a_cursor_has_the_form_of_one() -> None:
    made = Cursors("a secret of the tests").write(UUID(examples.DROP_ID), {})
    assert len(made) == len(examples.CURSOR)
    assert urlsafe_b64decode(made)[0] == urlsafe_b64decode(examples.CURSOR)[0]
