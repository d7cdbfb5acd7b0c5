"""Answers of DynamoDB are read as botocore reads them, only faster."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiobotocore.parsers import create_parser
from botocore.session import get_session
from hypothesis import given
from hypothesis import strategies as st

from headrace_shared.item_parser import ItemParser, ItemParsers

MODEL = get_session().get_service_model("dynamodb")
HEADERS = {"x-amzn-RequestId": "r", "Content-Type": "application/x-amz-json-1.0"}

texts = st.text(max_size=20)
numbers = st.integers() | st.decimals(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.builds(lambda text: {"S": text}, texts)
    | st.builds(lambda number: {"N": str(number)}, numbers)
    | st.builds(lambda truth: {"BOOL": truth}, st.booleans())
    | st.just({"NULL": True}),
    lambda inner: (
        st.builds(lambda parts: {"L": parts}, st.lists(inner, max_size=3))
        | st.builds(lambda parts: {"M": parts}, st.dictionaries(texts, inner, max_size=3))
    ),
    max_leaves=8,
)
items = st.dictionaries(texts, values, max_size=5)


async def both(operation: str, status: int, body: Any) -> tuple[Any, Any]:
    """The answer as Headrace and as aiobotocore read it."""
    shape = MODEL.operation_model(operation).output_shape
    assert shape is not None
    answer = {"status_code": status, "headers": HEADERS, "body": json.dumps(body).encode()}
    ours = await ItemParsers().create_parser("json").parse(dict(answer), shape)
    theirs = await create_parser("json").parse(dict(answer), shape)
    return ours, theirs


@given(found=st.lists(items, max_size=3), last=st.none() | items)
async def test_page_of_items_is_read_as_by_botocore(
    found: list[dict[str, Any]], last: dict[str, Any] | None
) -> None:
    body = {"Items": found, "Count": len(found), "ScannedCount": 9}
    ours, theirs = await both("Query", 200, body | ({"LastEvaluatedKey": last} if last else {}))
    assert ours == theirs


@pytest.mark.parametrize(
    ("operation", "status", "body"),
    [
        ("GetItem", 200, {"Item": {"drop_id": {"S": "d"}}}),
        ("GetItem", 200, {}),
        ("UpdateItem", 200, {"Attributes": {"state": {"S": "routed"}, "attempts": {"N": "1"}}}),
        ("UpdateItem", 200, {}),
        ("BatchGetItem", 200, {"Responses": {"log": [{"a": {"N": "1"}}]}, "UnprocessedKeys": {}}),
        ("DescribeTable", 200, {"Table": {"TableName": "log", "CreationDateTime": 1_700_000_000}}),
        ("Query", 400, {"__type": "com.amazonaws#ResourceNotFoundException", "message": "none"}),
        ("Query", 500, {}),
    ],
)
async def test_every_other_answer_is_read_as_by_botocore(
    operation: str, status: int, body: Any
) -> None:
    ours, theirs = await both(operation, status, body)
    assert ours == theirs


def test_other_protocols_keep_their_parsers() -> None:
    parsers = ItemParsers()
    assert isinstance(parsers.create_parser("json"), ItemParser)
    assert not isinstance(parsers.create_parser("rest-xml"), ItemParser)
