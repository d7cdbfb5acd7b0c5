"""Facts outlive the code that wrote them: schemas are compared, old examples still parse."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headrace_shared.facts import FACTS, UnknownFactError, decode
from tools.fact_schemas import FOLDER, examples_file, schema, schema_file

EXAMPLES = [
    pytest.param(name, example, id=f"{name} {number}")
    for name in FACTS
    for number, example in enumerate(json.loads(examples_file(name).read_text("utf-8")), 1)
]


def body(name: str, detail: dict[str, Any]) -> str:
    return json.dumps({"detail-type": name, "source": "headrace", "detail": detail})


@pytest.mark.parametrize("name", FACTS)
def test_committed_schema_is_that_of_the_code(name: str) -> None:
    told = "run: python -m tools.fact_schemas"
    assert schema_file(name).read_text("utf-8") == schema(FACTS[name]), told


def test_no_file_is_left_of_a_fact_that_is_gone() -> None:
    known = {path for name in FACTS for path in (schema_file(name), examples_file(name))}
    assert set(FOLDER.glob("*.json")) == known


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_committed_example_parses(name: str, example: dict[str, Any]) -> None:
    fact = decode(body(name, example))
    assert isinstance(fact, FACTS[name])
    assert str(fact.drop.drop_id) == example["drop"]["drop_id"]


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_committed_example_with_unknown_fields_parses_alike(
    name: str, example: dict[str, Any]
) -> None:
    newer = {
        **example,
        "version": "1.7",
        "colour": "blue",
        "drop": {**example["drop"], "owner": {"team": "a"}},
    }
    fact = decode(body(name, newer))
    assert fact.model_copy(update={"version": example["version"]}) == decode(body(name, example))


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_committed_example_of_the_next_major_version_is_refused(
    name: str, example: dict[str, Any]
) -> None:
    with pytest.raises(UnknownFactError, match=r"2\.0"):
        decode(body(name, {**example, "version": "2.0"}))
