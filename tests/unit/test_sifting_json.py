"""Records of JSON files: found wherever blocks are cut, each at its place."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_loader.sifting.batches import Record
from headrace_loader.sifting.json_cutting import Documents, Lines, cutter_of
from headrace_loader.sifting.json_elements import Elements
from headrace_loader.sifting.json_fields import FaultyError
from headrace_loader.sifting.json_rows import JsonRows
from headrace_shared.contract import Column
from headrace_shared.errors import PermanentError
from headrace_shared.file_formats import JsonFormat, json_path

MOST = 100_000
texts = st.text(st.sampled_from('ab"\\{}[],:\n é'), max_size=6)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
objects = st.lists(st.dictionaries(texts, values, max_size=3), max_size=5)
indents = st.sampled_from([None, 1])


def cut(content: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(content) + 1) for place in places), len(content)]
    return [content[start:end] for start, end in pairwise(edges)]


def records(cutter: Any, blocks: list[bytes]) -> list[Record]:
    found = [record for block in blocks for record in cutter.feed(block)]
    return [*found, *cutter.finish()]


def check(found: list[Record], content: bytes, wanted: list[dict[str, Any]]) -> None:
    assert [json.loads(one.raw) for one in found] == wanted
    assert [one.number for one in found] == list(range(1, len(wanted) + 1))
    for one in found:
        assert one.byte_offset is not None
        assert content[one.byte_offset :].startswith(one.raw)
        assert one.line == content[: one.byte_offset].count(b"\n") + 1


@given(wanted=objects, indent=indents, places=st.lists(st.integers(0, 2_000), max_size=8))
def test_elements_of_an_array(
    wanted: list[dict[str, Any]], indent: int | None, places: list[int]
) -> None:
    content = json.dumps(wanted, indent=indent).encode()
    check(records(Elements((), MOST), cut(content, places)), content, wanted)


@given(
    wanted=objects,
    before=values,
    after=values,
    indent=indents,
    places=st.lists(st.integers(0, 2_000), max_size=8),
)
def test_elements_of_an_array_within_a_document(
    wanted: list[dict[str, Any]], before: Any, after: Any, indent: int | None, places: list[int]
) -> None:
    document = {"before": before, "data": {"x": before, "rows": wanted, "y": after}, "z": after}
    content = json.dumps(document, indent=indent).encode()
    check(records(Elements(("data", "rows"), MOST), cut(content, places)), content, wanted)


@given(wanted=objects, indent=indents, places=st.lists(st.integers(0, 2_000), max_size=8))
def test_objects_one_after_the_other(
    wanted: list[dict[str, Any]], indent: int | None, places: list[int]
) -> None:
    content = "\n".join(json.dumps(one, indent=indent) for one in wanted).encode()
    check(records(Documents(MOST), cut(content, places)), content, wanted)


@given(wanted=objects, places=st.lists(st.integers(0, 2_000), max_size=8))
def test_lines(wanted: list[dict[str, Any]], places: list[int]) -> None:
    content = "\r\n".join(map(json.dumps, wanted)).encode()
    check(records(Lines(MOST), cut(content, places)), content, wanted)


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b'{"a": 1}\n{"a": 2}\n', Lines),
        (b'{"a": 1', Documents),
        (b'{\n  "a": 1\n}\n', Documents),
        (b'{"a": 1} {"a": 2}', Documents),
        (b'{"a": \n{"a": 2}\n', Lines),
        (b"  [1]", Elements),
        (b"", Lines),
    ],
)
def test_shape_of_a_file_is_told_by_its_head(head: bytes, kind: type) -> None:
    assert isinstance(cutter_of(head, None, MOST), kind)


@pytest.mark.parametrize("content", [b'[{"a": 1}', b'[{"a": 1}}', b'{"data": [1', b"[[[["])
def test_array_that_breaks_off_is_refused(content: bytes) -> None:
    with pytest.raises(PermanentError) as raised:
        records(Elements(("data",) if content[:1] == b"{" else (), MOST), [content])
    assert raised.value.reason.code == "json_malformed"


def test_bad_element_spoils_no_other() -> None:
    content = b'[{"a": 1}, {"a": }, 3, {"a": 4}]'
    raws = [one.raw for one in records(Elements((), MOST), [content])]
    assert raws == [b'{"a": 1}', b'{"a": }', b"3", b'{"a": 4}']


def test_record_longer_than_the_limit_is_refused() -> None:
    for cutter in (Elements((), 100), Documents(100), Lines(100)):
        with pytest.raises(PermanentError) as raised:
            records(cutter, [b'[{"a": "', b"x" * 200])
        assert raised.value.reason.code == "line_too_long"


COLUMNS = (
    Column(name="a", type="bigint", nullable=False),
    Column(name="b", type="jsonb"),
    Column.model_validate({"name": "c", "type": "text", "from": "$.d[0].e"}),
)


@given(content=st.binary(max_size=60) | values.map(lambda one: json.dumps(one).encode()))
def test_any_record_makes_rows_or_is_told_to_be_bad(content: bytes) -> None:
    for written in (JsonFormat(type="json"), JsonFormat(type="json", explode=("$.b",))):
        try:
            rows = JsonRows(COLUMNS, written, {}, {}, set()).rows(content)
        except FaultyError:
            continue
        assert all(len(row) == len(COLUMNS) and row[0] is not None for row in rows)


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("$", ()),
        ("$.a", ("a",)),
        ("$.a.b[2].c", ("a", "b", 2, "c")),
        ('$["a b"]["c\\"d"]', ("a b", 'c"d')),
    ],
)
def test_paths(path: str, steps: tuple[str | int, ...]) -> None:
    assert json_path(path) == steps


@pytest.mark.parametrize("path", ["", "a", "$a", "$.", "$..a", "$.a[", "$[x]", "$.a b]"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="is no path"):
        json_path(path)


@pytest.mark.parametrize(
    ("content", "raws"),
    [
        (b'[{"a": 1},, {"a": 3}]', [b'{"a": 1}', b"", b'{"a": 3}']),
        (b'[{"a": 1}, ]', [b'{"a": 1}', b""]),
        (b"[ , ]", [b"", b""]),
        (b"[ ]", []),
    ],
)
def test_empty_element_is_a_record_of_its_own(content: bytes, raws: list[bytes]) -> None:
    for place in range(len(content)):
        found = records(Elements((), MOST), [content[:place], content[place:]])
        assert [one.raw for one in found] == raws
        assert [one.number for one in found] == list(range(1, len(raws) + 1))


NAMED = (
    Column(name="a", type="bigint"),
    Column(name="b", type="text", nullable=False),
    Column(name="k", type="text"),
    Column.model_validate({"name": "d", "type": "text", "from": "$.Dd"}),
    Column(name="dd", type="text"),
)


def rows_of(record: dict[str, Any], filled: set[int] | None = None, **written: Any) -> list[Any]:
    form = JsonFormat(type="json", **written)
    return JsonRows(NAMED, form, {}, {}, set() if filled is None else filled).rows(
        json.dumps(record).encode()
    )


def test_column_takes_the_field_of_its_name_in_any_case() -> None:
    assert rows_of({"A": 1, "B": "x", "K": "y"}) == [["1", "x", "y", None, None]]


def test_field_that_a_path_names_is_left_to_the_path() -> None:
    assert rows_of({"b": "x", "Dd": "p", "DD": "n"}) == [[None, "x", None, "p", "n"]]
    assert rows_of({"b": "x", "Dd": "p"}) == [[None, "x", None, "p", None]]


@pytest.mark.parametrize("unknown", ["refuse", "ignore"])
def test_two_fields_for_one_column_are_a_fault_and_never_one_of_them(unknown: str) -> None:
    for record in ({"b": "x", "B": "x"}, {"b": None, "B": "x"}, {"B": "x", "b": "x", "a": 1}):
        with pytest.raises(FaultyError) as raised:
            rows_of(record, unknown=unknown)
        assert [(one.code, one.column) for one in raised.value.faults] == [("ambiguous_field", "b")]


def test_accents_case_and_punctuation_do_not_make_another_field() -> None:
    assert rows_of({"-B-": "x", "\u212a": "kelvin"}) == [[None, "x", "kelvin", None, None]]
    with pytest.raises(FaultyError, match="unknown_field"):
        rows_of({"b": "x", "\u043a": "Cyrillic"})


def test_columns_with_a_field_are_noted_a_null_among_them() -> None:
    filled: set[int] = set()
    rows_of({"A": None, "b": "x", "other": 1}, filled, unknown="ignore")
    assert filled == {0, 1}


keys = st.sampled_from(["a", "A", "b", "B", "k", "Dd", "dd", "DD", "x", "\u212a"])
plain_values = st.none() | st.integers() | st.text(st.sampled_from("ab \u00e9"), max_size=3)


@given(
    records=st.lists(st.dictionaries(keys, plain_values, max_size=5), min_size=1, max_size=4),
    unknown=st.sampled_from(["refuse", "ignore"]),
)
def test_short_way_of_the_many_gives_what_the_long_way_gives(
    records: list[dict[str, Any]], unknown: str
) -> None:
    form = JsonFormat.model_validate({"type": "json", "unknown": unknown})
    filled: tuple[set[int], set[int]] = (set(), set())
    short = JsonRows(NAMED, form, {}, {}, filled[0])
    long = JsonRows(NAMED, form, {}, {}, filled[1])
    for record in records:
        content = json.dumps(record, ensure_ascii=False).encode()
        line = short.line(content)
        try:
            (row,) = long.rows(content)
        except FaultyError:
            assert line is None
            with pytest.raises(FaultyError):
                short.rows(content)
            continue
        if line is None:
            # A text for an integer: it takes a second look.
            assert isinstance(record.get("a", record.get("A")), str)
            assert short.rows(content) == [row]
            continue
        assert line.decode() == "\t".join("\\N" if one is None else one for one in row)
        assert filled[0] == filled[1]
