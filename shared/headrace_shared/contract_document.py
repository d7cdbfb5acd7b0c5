"""The text of a contract, JSON or YAML, as data, with the line and column of each part.

YAML is read by the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema): only
`true` and `false` are booleans, so that a null marker `no` stays a text, and dates stay texts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

_LONGEST_POINTER: Final = re.compile(r"(?:/[^/:\s]*)+(?=: )")


_TOO_DEEP: Final = "it is nested too deeply"


class DocumentError(ValueError):
    """The text is neither JSON nor YAML; says where."""


@dataclass(frozen=True)
class Document:
    """A contract's document.

    Args:
        data: what it holds, as JSON would.
        places: line and column, each counted from 1, of each part, by its JSON pointer (RFC 6901).
    """

    data: Any
    places: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def located(self, fault: str) -> str:
        """A fault that begins with a JSON pointer, with the line and column of that part.

        Of a part that is missing, it is the place of what should hold it.
        """
        found = _LONGEST_POINTER.match(fault)
        if found is None:
            return fault
        pointer = found[0]
        while pointer not in self.places:
            if not pointer:
                return fault
            pointer = pointer.rpartition("/")[0]
        line, column = self.places[pointer]
        return f"line {line}, column {column}: {fault}"


def read_document(text: str) -> Document:
    """The document in a text, which is JSON, or else YAML.

    Raises:
        DocumentError: it is neither, a key is there twice, or an alias is used.
    """
    is_json = text.lstrip()[:1] in ("{", "[")
    try:
        # Tabs may stand between the tokens of JSON, but not of YAML; within its texts they are
        # not allowed at all.
        node = yaml.compose(text.replace("\t", " ") if is_json else text, Loader=_Loader)
    except (yaml.YAMLError, RecursionError) as error:
        if is_json:
            # What YAML does not take may be JSON all the same, such as a control character.
            return Document(_json(text))
        raise DocumentError(_where(error)) from None
    places = dict(_places(node, "")) if node is not None else {}
    return Document(_json(text) if is_json else _data(node), places)


def _json(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_without_repeats, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise DocumentError(
            f"line {error.lineno}, column {error.colno}: no JSON: {error.msg}"
        ) from None
    except RecursionError:
        raise DocumentError(_TOO_DEEP) from None


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise DocumentError(
            f"the key {next(n for n in names if names.count(n) > 1)!r} is there twice"
        )
    return found


def _refuse_constant(word: str) -> None:
    raise DocumentError(f"{word} is no number of JSON")


class _Loader(yaml.SafeLoader):
    """The core schema, without aliases: a few of them can stand for gigabytes."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """See `yaml.composer.Composer`."""
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="aliases (*name) are not read", problem_mark=mark)
        return super().compose_node(parent, index)


_CORE: Final = {
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "int": (r"[-+]?[0-9]+", "-+0123456789"),
    "float": (
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?",
        "-+0123456789.",
    ),
}
_Loader.yaml_implicit_resolvers = {}
for _name, (_pattern, _first) in _CORE.items():
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_name}", re.compile(rf"(?:{_pattern})\Z"), list(_first)
    )


def _data(node: yaml.Node | None) -> Any:
    if node is None:
        return None
    if isinstance(node, yaml.MappingNode):
        return {key.value: _data(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_data(one) for one in node.value]
    return _scalar(node)


def _refuse_repeats(keys: Iterable[yaml.Node]) -> None:
    names: set[str] = set()
    for key in keys:
        if not isinstance(key, yaml.ScalarNode):
            raise DocumentError(f"{_at(key)}: a key has to be a text")
        if key.value in names:
            raise DocumentError(f"{_at(key)}: the key {key.value!r} is there twice")
        names.add(key.value)


def _scalar(node: yaml.Node) -> Any:
    kind, text = node.tag.rpartition(":")[2], str(node.value)
    if kind == "str":
        return text
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    if kind in ("int", "float"):
        return int(text) if kind == "int" else float(text)
    raise DocumentError(f"{_at(node)}: the tag {node.tag!r} is not read")


def _places(node: yaml.Node, pointer: str) -> Iterator[tuple[str, tuple[int, int]]]:
    mark = node.start_mark
    yield pointer, (mark.line + 1, mark.column + 1)
    if isinstance(node, yaml.MappingNode):
        _refuse_repeats([key for key, _ in node.value])
        for key, value in node.value:
            yield from _places(value, f"{pointer}/{_escaped(key.value)}")
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield from _places(value, f"{pointer}/{number}")


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _at(node: yaml.Node) -> str:
    return f"line {node.start_mark.line + 1}, column {node.start_mark.column + 1}"


def _where(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return _TOO_DEEP
    if not isinstance(error, yaml.MarkedYAMLError):
        return f"no YAML: {str(error).splitlines()[0]}"
    mark = error.problem_mark or error.context_mark
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return f"{place}no YAML: {error.problem or error.context}"
