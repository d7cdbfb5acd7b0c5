"""A contract's document is the same data in JSON and in YAML, and each part has its place."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from headrace_shared.contract import ContractError, read_contract
from headrace_shared.contract_document import Document, DocumentError, read_document

texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)
scalars = st.one_of(st.none(), st.booleans(), st.integers(-(10**20), 10**20), texts)
data = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=12,
)
documents = st.dictionaries(texts, data, min_size=1, max_size=4)


def pointers(part: Any, pointer: str = "") -> set[str]:
    if isinstance(part, dict):
        named = ((name.replace("~", "~0").replace("/", "~1"), one) for name, one in part.items())
        return {pointer}.union(*(pointers(one, f"{pointer}/{name}") for name, one in named))
    if isinstance(part, list):
        return {pointer}.union(*(pointers(one, f"{pointer}/{n}") for n, one in enumerate(part)))
    return {pointer}


@given(documents, st.sampled_from([None, 1, "\t"]))
def test_json_is_read_and_every_part_has_its_place(document: Any, indent: int | str | None) -> None:
    text = json.dumps(document, indent=indent, ensure_ascii=False)
    found = read_document(text)
    assert found.data == document
    assert found.places.keys() == pointers(document)
    lines = text.splitlines()
    for line, column in found.places.values():
        assert lines[line - 1][column - 1 : column].strip()


@given(documents)
def test_yaml_is_the_same_data(document: Any) -> None:
    class Quoted(yaml.SafeDumper):
        """Texts in quotes: which plain words are texts differs from YAML 1.1 on purpose."""

    Quoted.add_representer(
        str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')
    )
    Quoted.ignore_aliases = lambda *_: True  # type: ignore[method-assign]
    text = yaml.dump(document, Dumper=Quoted, allow_unicode=True, default_flow_style=False)
    found = read_document(text)
    assert found.data == document
    assert found.places.keys() == pointers(document)


@pytest.mark.parametrize("word", ["no", "yes", "on", "off", "y", "2026-01-01", "1_000", "12:30:45"])
def test_word_of_yaml_that_is_no_json_stays_a_text(word: str) -> None:
    assert read_document(f"null_marker: {word}").data == {"null_marker": word}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: &x 1\nb: *x", "line 2, column 4: no YAML: aliases (*name) are not read"),
        ("a: 1\na: 2", "line 2, column 1: the key 'a' is there twice"),
        ('{"a": 1,\n "a": 2}', "line 2, column 2: the key 'a' is there twice"),
        ('{"a": }', "line 1, column 7: no JSON: Expecting value"),
        ('{"a": NaN}', "NaN is no number of JSON"),
        ("? [1]\n: 2", "line 1, column 3: a key has to be a text"),
        ("a: !!binary aGk=", "line 1, column 4: the tag"),
        ("- " * 20_000, "nested too deeply"),
        ("[" * 20_000, "nested too deeply"),
    ],
)
def test_what_is_no_document_is_refused_with_its_place(text: str, fault: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read_document(text)
    assert fault in str(caught.value)


def test_fault_of_a_missing_part_has_the_place_of_what_lacks_it() -> None:
    found = Document({}, {"": (1, 1), "/columns/0": (3, 5)})
    assert found.located("/columns/0/type: is missing").startswith("line 3, column 5: ")
    assert found.located("/format: is strange").startswith("line 1, column 1: ")
    assert found.located("not a place: here") == "not a place: here"


YAML = """\
$schema: https://example.com/contract.schema.json
columns:
  - name: id
    type: bigint
  - name: name
    type: {kind}
"""


def test_contract_may_be_yaml_and_names_its_schema() -> None:
    contract = read_contract(YAML.format(kind="text").encode())
    assert [(one.name, one.type) for one in contract.columns] == [
        ("id", "bigint"),
        ("name", "text"),
    ]


def test_control_character_in_json_is_a_text_and_a_nul_is_refused() -> None:
    assert read_document('{"a": "\x7f"}').data == {"a": "\x7f"}
    columns = '"columns": [{"name": "id", "type": "bigint"}]'
    read_contract(f'{{{columns}, "description": "\x7f"}}'.encode())
    with pytest.raises(ContractError, match="NUL"):
        read_contract(f'{{{columns}, "description": "\\u0000"}}'.encode())


def test_fault_in_yaml_has_line_and_column() -> None:
    with pytest.raises(ContractError) as caught:
        read_contract(YAML.format(kind="txt").encode())
    (fault,) = caught.value.faults
    assert fault.startswith("line 6, column 11: /columns/1/type: unknown type 'txt'")
