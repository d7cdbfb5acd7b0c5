"""Each reason code of the source has one stage: the step that failed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace_shared.facts import Stage
from headrace_shared.reasons import Reason
from headrace_shared.stages import STAGE_OF_CODE, stage_of
from tools.house import ROOT

SOURCES = sorted(path for top in ("services", "shared") for path in (ROOT / top).rglob("*.py"))


def codes_of(tree: ast.Module) -> Iterator[str]:
    """The codes of every `Reason` of a module: written there, or given to a function of the module
    that takes a `code`. Any other expression is given as it is written, which no stage has."""
    functions = {
        node.name: [one.arg for one in node.args.args].index("code")
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and "code" in [one.arg for one in node.args.args]
    }
    constants = {
        node.target.id: node.value
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        named = {word.arg: word.value for word in call.keywords}
        name = call.func.id if isinstance(call.func, ast.Name) else ""
        if name == "Reason":
            given: ast.expr | None = named.get("code")
        elif name in functions:
            given = named.get("code", (*call.args, None)[functions[name]])
        else:
            continue
        if isinstance(given, ast.Name) and given.id == "code" and functions:
            continue  # the function's own parameter: its callers are read
        value = constants.get(given.id, given) if isinstance(given, ast.Name) else given
        yield str(value.value) if isinstance(value, ast.Constant) else ast.unparse(value or call)


def codes_in(*paths: Path) -> set[str]:
    return {code for path in paths for code in codes_of(ast.parse(path.read_text("utf-8")))}


def test_every_code_of_the_source_has_a_stage_and_no_other_has_one() -> None:
    assert codes_in(*SOURCES) == set(STAGE_OF_CODE)


@pytest.mark.parametrize(
    "source",
    [
        'Reason(code="brand_new", message="One.")',
        'CODE: Final = "brand_new"\nReason(code=CODE, message="One.")',
        'def refuse(code: str) -> Reason:\n    return Reason(code=code)\nrefuse("brand_new")',
        'def no(x: str, code: str):\n    return Reason(code=code)\nno("", code="brand_new")',
    ],
)
def test_a_new_code_is_found(source: str) -> None:
    assert set(codes_of(ast.parse(source))) == {"brand_new"}


def test_a_code_that_is_computed_is_found_as_one_without_a_stage() -> None:
    found = set(codes_of(ast.parse('Reason(code=f"bad_{kind}", message="One.")')))
    assert not found & set(STAGE_OF_CODE)
    assert found


@pytest.mark.parametrize(
    ("code", "stage"),
    [
        ("bad_rows", Stage.TRANSFORM),
        ("encoding_invalid", Stage.TRANSFORM),
        ("header_mismatch", Stage.TRANSFORM),
        ("file_type_mismatch", Stage.TRANSFORM),
        ("tests_failed", Stage.TEST),
        ("operation_not_allowed", Stage.LOAD),
        ("warehouse_needs_attention", Stage.LOAD),
        ("key_malformed", Stage.ROUTE),
        ("of_a_later_version", Stage.LOAD),
    ],
)
def test_stage_is_the_step_that_failed(code: str, stage: Stage) -> None:
    assert stage_of(Reason(code=code, message="One.")) is stage


def test_codes_of_the_loader_are_of_its_own_steps() -> None:
    """The verifier knows by the stage `route` that the ledger has no row of a rejected drop."""
    loader = codes_in(*(ROOT / "services" / "loader").rglob("*.py"))
    assert {STAGE_OF_CODE[code] for code in loader} == {Stage.TRANSFORM, Stage.TEST, Stage.LOAD}
