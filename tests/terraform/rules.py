"""What tflint would say of our Terraform, and what no scanner that we know of sees.

Each rule takes the folder of a root module and returns its findings, none where all is well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from tests.terraform.aws.api import start
from tools.terraform_blocks import Block, blocks, modules

Rule = Callable[[Path], list[str]]

_SNAKE_CASE: Final = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
_NAMED: Final = frozenset({"variable", "output", "resource", "data", "module", "ephemeral"})
_IN_A_TEXT: Final = re.compile(r"\bpassword=|://[^/@\s\"]+:[^/@\s\"]+@")
_SETTING: Final = re.compile(r"\b([A-Z_]*(?:SECRET|TOKEN|PASSWORD|PASSWD|KEY)[A-Z_]*)\s*=\s*(.+)")
_TEXT: Final = re.compile(r'"([^"]*)"')
_INTERPOLATED: Final = re.compile(r"\$\{[^}]*\}")
_A_PLACE: Final = re.compile(r"(?:\w+\()*[\w.\[\]*]+arn\)*|aws_dynamodb_table\.\w+\.name")


def undescribed(root: Path) -> list[str]:
    """Variables without description or type, outputs without description."""
    needed = {"variable": ("description", "type"), "output": ("description", "value")}
    return [
        f"{_at(block)}: no {argument}"
        for block in _every(root)
        for argument in needed.get(block.kind, ())
        if argument not in block.arguments()
    ]


def misnamed(root: Path) -> list[str]:
    """Names that are not snake_case."""
    names = [(block, block.name) for block in _every(root) if block.kind in _NAMED]
    names += [(block, name) for block in _locals(root) for name in block.arguments()]
    return [f"{_at(block)}: {name}" for block, name in names if not _SNAKE_CASE.fullmatch(name)]


def unused(root: Path) -> list[str]:
    """Variables, locals and data that their module never reads; outputs of an inner module that
    no caller reads."""
    found: list[str] = []
    for module in modules(root):
        text = _code(module)
        for block, reference in _declared(module):
            if not re.search(rf"(?<![\w.]){re.escape(reference)}\b", text):
                found.append(f"{_at(block)}: {reference} is never read")
    return found + list(_unread_outputs(root))


def unpinned(root: Path) -> list[str]:
    """Root modules that name no version of Terraform or of a provider."""
    return [
        f"{module}: no {wanted}"
        for module in modules(root)
        if any(block.kind == "provider" for block in blocks(module))
        for wanted in ("required_version", "required_providers")
        if wanted not in _code(module)
    ]


def plaintext_credentials(root: Path) -> list[str]:
    """Passwords in the text: in a task's environment whoever may describe it reads them, and so
    does the state. A setting that is named a secret may hold an ARN or a table's name only."""
    found: list[str] = []
    for path in _files(root):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            setting = _SETTING.search(line)
            if _IN_A_TEXT.search(line) or (setting and not _names_a_place(setting[2])):
                found.append(f"{path.relative_to(root)}:{number}: {line.strip()}")
    return found


def targets_without_dead_letters(root: Path) -> list[str]:
    """Targets of rules from which an event that is refused for a day is lost."""
    return [
        f"{_at(block)}: no dead_letter_config"
        for block in _every(root)
        if block.kind == "resource" and block.labels[0] == "aws_cloudwatch_event_target"
        if not any(inner.kind == "dead_letter_config" for inner in block.inner())
    ]


def shut_out(root: Path) -> list[str]:
    """Inboxes and topics whose policy lets in other rules than those that send to them; the
    emulator delivers without a policy, and so would never tell."""
    sent: dict[str, set[str]] = {}
    for name, module in _rules(root).items():
        sent.setdefault(module.arguments()["target_arn"].split(".")[1], set()).add(name)
    let_in = _let_in(root)
    return [
        f"{to} lets in {_listed(let_in.get(to))}, and {_listed(sent.get(to))} send to it"
        for to in sorted(sent.keys() | let_in.keys())
        if sent.get(to, set()) != let_in.get(to, set())
    ]


def untaggable(root: Path) -> list[str]:
    """Texts of a provider's default tags that AWS refuses. Terraform's mocks do not apply these
    tags, so that no state has them."""
    return [
        f"{_at(block)}: default_tags: {fault}"
        for block in _every(root)
        if block.kind == "provider"
        for inner in block.inner()
        if inner.kind == "default_tags"
        for text in _TEXT.findall(inner.body)
        for fault in start("iam:CreateRole:Tags.Value").faults(_INTERPOLATED.sub("x", text))
    ]


RULES: Final[tuple[Rule, ...]] = (
    untaggable,
    undescribed,
    misnamed,
    unused,
    unpinned,
    plaintext_credentials,
    targets_without_dead_letters,
    shut_out,
)


def _let_in(root: Path) -> dict[str, set[str]]:
    """Service with an inbox, or topic -> keys of `local.rules` that its policy names."""
    inboxes = [block for block in blocks(root, "module") if "rule_arns" in block.body]
    found = {one.name: set(re.findall(r"local\.rules\.(\w+)", one.body)) for one in inboxes}
    for topic in (one for one in blocks(root, "data") if "sns:Publish" in one.body):
        found[topic.name] = {
            name
            for name, module in _rules(root).items()
            if _lets_in_every_rule(topic) and f"aws_sns_topic.{topic.name}.arn" in module.body
        }
    return found


def _lets_in_every_rule(topic: Block) -> bool:
    """Whether a statement for EventBridge has no condition: SNS would match none that it has."""
    return any(
        "events.amazonaws.com" in statement.body
        and not any(inner.kind == "condition" for inner in statement.inner())
        for statement in topic.inner()
    )


def _rules(root: Path) -> dict[str, Block]:
    """Key of `local.rules` -> the rule's module."""
    made = {block.name: block for block in blocks(root, "module") if "target_arn" in block.body}
    found: dict[str, Block] = {}
    for block in blocks(root, "locals"):
        text = block.arguments().get("rules", "")
        # `for rule in module.ended_well : "well" => rule.arn`: of one that may be left out.
        loops = dict(re.findall(r"for (\w+) in module\.(\w+)", text))
        pairs = re.findall(r"(\w+)\"?\s*=>?\s*(?:module\.)?(\w+)\.arn", text)
        found |= {key: made[loops.get(module, module)] for key, module in pairs}
    return found


def _listed(names: set[str] | None) -> str:
    return ", ".join(sorted(names or ())) or "nobody"


def _names_a_place(value: str) -> bool:
    return all(_A_PLACE.fullmatch(part) for part in value.rstrip(" }").split(", "))


def _declared(module: Path) -> Iterator[tuple[Block, str]]:
    for block in blocks(module):
        if block.kind == "variable":
            yield block, f"var.{block.name}"
        if block.kind == "data":
            yield block, f"data.{block.labels[0]}.{block.name}"
        if block.kind == "locals":
            for name in block.arguments():
                yield block, f"local.{name}"


def _unread_outputs(root: Path) -> Iterator[str]:
    callers = {module: _code(module) for module in modules(root)}
    for module in modules(root):
        if module.parent.name == "modules":
            for output in blocks(module, "output"):
                read = re.compile(rf"module\.\w+(?:\[[^]]*\])?\.{output.name}\b|\.{output.name}\b")
                if not any(read.search(text) for at, text in callers.items() if at != module):
                    yield f"{_at(output)}: no caller reads it"


def _every(root: Path) -> Iterator[Block]:
    for module in modules(root):
        yield from blocks(module)


def _locals(root: Path) -> list[Block]:
    return [block for block in _every(root) if block.kind == "locals"]


def _files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*.tf") if ".terraform" not in path.parts)


def _code(module: Path) -> str:
    """The text of a module's files, comments left out."""
    lines = [line for path in sorted(module.glob("*.tf")) for line in path.read_text().splitlines()]
    return "\n".join(line for line in lines if not line.lstrip().startswith("#"))


def _at(block: Block) -> str:
    named = ".".join((block.kind, *block.labels))
    return f"{block.file.parent.name}/{block.file.name}:{block.line}: {named}"
