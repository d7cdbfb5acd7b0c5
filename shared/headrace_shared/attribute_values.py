"""DynamoDB's own notation for the values of an item, read and written.

Items of the log hold texts, whole numbers, truth values, nulls, lists and maps alone.
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_AttributeValue.html
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any


def plain_item(raw: Mapping[str, Any]) -> dict[str, Any]:
    """An item as DynamoDB answers it, as plain values."""
    return {name: _plain(value) for name, value in raw.items()}


def _plain(value: Mapping[str, Any]) -> Any:
    kind, content = next(iter(value.items()))
    match kind:
        case "N":
            return _number(content)
        case "M":
            return plain_item(content)
        case "L":
            return [_plain(part) for part in content]
        case "NULL":
            return None
    return content


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        number = Decimal(text)
        return int(number) if number == number.to_integral_value() else float(number)
