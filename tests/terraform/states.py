"""The states that the runs of `terraform test` leave, for the rules of tests/terraform/aws.

Terraform's mocks make everything without an account. Each `run` that applies (the default) prints
its state, so every variant that has a test is looked at by every rule. A run takes minutes: its
states are kept in a folder that the test processes of this machine share, by the content of the
module.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.terraform.aws.documents import mark
from tests.terraform.aws.state import DOCUMENT, State, state, without_indexes
from tests.terraform.terraform import SOURCE, Terraform, TerraformError
from tools.terraform_blocks import blocks

_MOCKS: Final = "*.tfmock.hcl"
_FORMAT: Final = "2"
"""Of the files that are kept: another one makes every file anew."""

_OF_A_PLAN, _ENDING = '"type":"test_plan"', 100
_SUMMARY: Final = ("status", "passed", "skipped")
_KEPT_SECONDS: Final = 86_400


@dataclass(frozen=True)
class Tested:
    """What a root module's own tests ended with; `passed` counts its runs."""

    passed: int
    states: tuple[State, ...]


def roots(folder: Path = SOURCE) -> list[str]:
    """The root modules that have tests of their own, as paths below `folder`."""
    found = {path.parent.parent.relative_to(folder) for path in folder.rglob("tests/*.tftest.hcl")}
    return sorted(str(one) for one in found if ".terraform" not in one.parts)


def tested(terraform: Terraform, kept: Path) -> Tested:
    """Runs the tests of a root module that is initialised, unless `kept` has their states.

    Raises:
        TerraformError: a test failed; the message has what Terraform said of it.
    """
    file = kept / f"{_content(terraform)}.json"
    _forget_old(kept)
    with _alone(file.with_suffix(".lock")):
        if not file.exists():
            file.write_text(json.dumps(_run(terraform)))
    found = json.loads(file.read_text())
    states = (state(name, root, found["schemas"]) for name, root in found["states"].items())
    return Tested(found["passed"], tuple(states))


def _run(terraform: Terraform) -> dict[str, Any]:
    _mark_documents(terraform)
    found: dict[str, Any] = {"status": "", "passed": 0, "skipped": 0, "schemas": {}, "states": {}}
    faults: list[str] = []
    for text in terraform.test_lines():
        line = _read(text)
        faults += _diagnostics(line)
        _keep(line, found)
    # What was interrupted, or never begun, is skipped, and Terraform calls the rest a pass.
    if found["status"] != "pass" or found["skipped"] > 0:
        raise TerraformError(
            f"terraform test in {terraform.folder}: {found['status']}, {found['skipped']} skipped\n"
            + "\n".join(faults)
        )
    return found


def _keep(line: Mapping[str, Any], found: dict[str, Any]) -> None:
    if line["type"] == "test_summary":
        found |= {name: line["test_summary"][name] for name in _SUMMARY}
    if line["type"] == "test_state":
        name = f"{Path(line['@testfile']).name.split('.')[0]}/{line['@testrun']}"
        root = found["states"][name] = line["test_state"].get("root_module", {})
        for provider in line["test_state"].get("provider_schemas", {}).values():
            schemas = provider.get("resource_schemas", {})
            found["schemas"] |= {
                type_: schemas[type_]["block"] for type_ in _types(root) if type_ in schemas
            }


def _types(module: Mapping[str, Any]) -> set[str]:
    own = {one["type"] for one in module.get("resources", ()) if one["mode"] == "managed"}
    return own.union(*(_types(child) for child in module.get("child_modules", ())))


def _read(text: str) -> dict[str, Any]:
    """Of a plan, which a refusal leaves, nothing is needed, and reading it takes a while."""
    if _OF_A_PLAN in text[-_ENDING:]:
        return {"type": "test_plan"}
    line: dict[str, Any] = json.loads(text)
    return line


def _diagnostics(line: Mapping[str, Any]) -> list[str]:
    if line["type"] != "diagnostic":
        return []
    one = line["diagnostic"]
    place = f"{line.get('@testfile', '')} {line.get('@testrun', '')}".strip()
    return [f"{place}: {one['severity']}: {one['summary']}: {one.get('detail', '')}"]


def _mark_documents(terraform: Terraform) -> None:
    """Makes the mocks answer for each policy document of the module where it stands, in place of
    the same text for all."""
    overrides = "".join(
        f"\noverride_data {{\n  target = {address}\n"
        f"  values = {{ json = {json.dumps(mark(without_indexes(address)))} }}\n}}\n"
        for address in sorted(_documents(terraform.folder))
    )
    for mocks in terraform.copied.rglob(_MOCKS):
        mocks.write_text(mocks.read_text() + overrides)


def _documents(folder: Path) -> set[str]:
    """Addresses of policy documents: from the root, and as a test has them that runs a module of
    its own choice as the root."""
    tree = folder / ".terraform" / "modules" / "modules.json"
    # Without modules there is no such file.
    used = json.loads(tree.read_text())["Modules"] if tree.exists() else [{"Key": "", "Dir": "."}]
    found = set()
    for module in used:
        names = module["Key"].split(".")
        # `test.tests.FILE.RUN` is a root for the time of that run.
        ways = _ways(tuple(filter(None, names[4:] if names[0] == "test" else names)))
        for block in blocks((folder / module["Dir"]).resolve(), "data"):
            if block.labels[0] == DOCUMENT:
                found |= {f"{way}data.{DOCUMENT}.{block.name}" for way in (*ways, "")}
    return found


def _ways(names: tuple[str, ...]) -> list[str]:
    """To a module; an override of one with a count names its instance, and there is one at most."""
    ways = [""]
    for name in names:
        ways = [f"{way}module.{name}{index}." for way in ways for index in ("", "[0]")]
    return ways


def _content(terraform: Terraform) -> str:
    """Of everything that decides what the tests end with."""
    top = terraform.copied
    hashed = hashlib.sha256(f"{_FORMAT} {terraform.folder.relative_to(top)}".encode())
    hashed.update(terraform.run("version", "-json", seconds=60).encode())
    for path in sorted(top.rglob("*.hcl")) + sorted(top.rglob("*.tf")):
        if not any(part.startswith(".terraform") for part in path.parts):
            hashed.update(str(path.relative_to(top)).encode() + path.read_bytes())
    return hashed.hexdigest()[:32]


def _forget_old(kept: Path) -> None:
    """Of modules that changed since: nothing else removes their states."""
    for path in kept.iterdir():
        if time.time() - path.stat().st_mtime > _KEPT_SECONDS:
            path.unlink(missing_ok=True)


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """One process at a time: the others find what it made."""
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
