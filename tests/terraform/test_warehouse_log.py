"""Each Postgres that is made here keeps values of rows out of its log (docs/warehouse.md)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from headrace_local import postgres
from tools.terraform_blocks import TERRAFORM

ROOT = TERRAFORM.parents[1]

_ROW = re.compile(r"^\| (`log_\w+`(?:, `log_\w+`)*) \| `(\w+)` \|", re.MULTILINE)
_PARAMETER = re.compile(r'parameter \{\s*name\s*= "(\w+)"\s*value\s*= "([^"]*)"')


def _documented() -> dict[str, str]:
    rows = _ROW.findall((ROOT / "docs/warehouse.md").read_text())
    return {name: value for names, value in rows for name in re.findall(r"`(\w+)`", names)}


def _of_aurora() -> dict[str, str]:
    return dict(_PARAMETER.findall((TERRAFORM / "modules/postgres/main.tf").read_text()))


def _of_compose() -> dict[str, str]:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    return dict(_options(one.get("command", ()) for one in services.values()))


def _options(commands: Iterator[list[str]]) -> Iterator[list[str]]:
    for command in commands:
        for option in command:
            if option.startswith("log_"):
                yield option.split("=", 1)


def _of_one_machine() -> dict[str, str]:
    source = Path(postgres.__file__).read_text()
    return dict(re.findall(r'"(log_\w+)": "(\w+)"', source))


MADE = {"Aurora": _of_aurora, "compose.yaml": _of_compose, "one machine": _of_one_machine}


@pytest.mark.parametrize("made", MADE)
def test_log_has_no_values_of_rows_where_headrace_makes_the_warehouse(made: str) -> None:
    documented = _documented()
    assert len(documented) == 5
    assert documented.items() <= MADE[made]().items()
