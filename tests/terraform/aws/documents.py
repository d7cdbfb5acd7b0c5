"""The policies of a state as AWS gets them.

Terraform's mocks answer one text for every policy document. So the tests' copy of the mocks answers
a mark with the document's address instead (states.py), and here the mark becomes the statements.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.terraform.aws.state import Resource, State

_MARK: Final = "document of this state: "

Statement = Mapping[str, Any]


@dataclass(frozen=True)
class Policy:
    """A policy that a resource has.

    Args:
        attribute: of the resource, that holds it.
        statements: as AWS knows them, each list a list.
        faults: why it could not be read as a whole.
    """

    resource: Resource
    attribute: str
    statements: tuple[Statement, ...]
    faults: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        return f"{self.resource.address}: {self.attribute}"

    @property
    def characters(self) -> int:
        """Its size as IAM counts it, white space left out."""
        document = {"Version": "2012-10-17", "Statement": self.statements}
        return len(json.dumps(document, separators=(",", ":")))


def mark(address: str) -> str:
    """What stands for the document at an address (of its block, without indexes)."""
    return json.dumps({"Id": f"{_MARK}{address}"})


def policy(state: State, resource: Resource, attribute: str) -> Policy:
    """The policy in an attribute of a resource."""
    text = resource.values.get(attribute)
    try:
        statements = tuple(_statements(state, text))
    except ValueError as error:
        return Policy(resource, attribute, (), (str(error),))
    if not statements:
        return Policy(resource, attribute, (), ("it has no statement",))
    return Policy(resource, attribute, statements)


def _statements(state: State, text: Any) -> Iterator[Statement]:
    """Raises ValueError: it cannot be read."""
    document = _parsed(text)
    named = str(document.get("Id", ""))
    if not named.startswith(_MARK):
        yield from (_written(one) for one in _listed(document.get("Statement", [])))
        return
    address = named.removeprefix(_MARK)
    found = [one for one in state.documents if one.plain_address == address]
    if not found:
        raise ValueError(f"the state has no {address}")
    for one in found:
        yield from _merged(state, one)


def _merged(state: State, document: Resource) -> Iterator[Statement]:
    """A document's sources, and its own statements; one with the Sid of a source replaces it."""
    own = [_rendered(one) for one in document.values.get("statement") or ()]
    named = {one["Sid"] for one in own if one["Sid"]}
    met: set[str] = set()
    for source in document.values.get("source_policy_documents") or ():
        for one in _statements(state, source):
            if one["Sid"] and one["Sid"] in met:
                raise ValueError(
                    f"{document.address}: duplicate Sid {one['Sid']} in source_policy_documents: "
                    "the provider refuses it"
                )
            met.add(one["Sid"])
            if one["Sid"] not in named or not one["Sid"]:
                yield one
    yield from own


def _parsed(text: Any) -> Mapping[str, Any]:
    try:
        document = json.loads(text)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{str(text)[:60]!r} is no JSON") from error
    # A list or a number has no statement either.
    return document if isinstance(document, dict) else {}


def _rendered(block: Mapping[str, Any]) -> Statement:
    """Of a `statement` block of the data source."""
    found: dict[str, Any] = {
        "Sid": block.get("sid") or "",
        "Effect": block.get("effect") or "Allow",
        "Action": block.get("actions") or [],
        "NotAction": block.get("not_actions") or [],
        "Resource": block.get("resources") or [],
        "NotResource": block.get("not_resources") or [],
        "Principal": _principals(block.get("principals") or []),
        "NotPrincipal": _principals(block.get("not_principals") or []),
        "Condition": {},
    }
    for one in block.get("condition") or ():
        found["Condition"].setdefault(one["test"], {})[one["variable"]] = list(one["values"])
    return _without_empty(found)


def _written(statement: Mapping[str, Any]) -> Statement:
    """Of a statement that stands in JSON."""
    principal = statement.get("Principal", {})
    if isinstance(principal, str):
        principal = {"AWS": [principal]}
    found = dict(statement) | {
        "Sid": statement.get("Sid", ""),
        "Action": _listed(statement.get("Action", [])),
        "Resource": _listed(statement.get("Resource", [])),
        "Principal": {kind: _listed(one) for kind, one in principal.items()},
        "Condition": {
            test: {key: _listed(value) for key, value in keys.items()}
            for test, keys in statement.get("Condition", {}).items()
        },
    }
    return _without_empty(found)


def _without_empty(found: dict[str, Any]) -> Statement:
    return {name: one for name, one in found.items() if one or name in ("Sid", "Effect")}


def _principals(blocks: list[Mapping[str, Any]]) -> dict[str, list[str]]:
    return {one["type"]: list(one["identifiers"]) for one in blocks}


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]
