"""The documentation is true: settings, links, and commands."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tools import metrics_table
from tools.settings_tables import MODELS, ROOT, readme, table, with_table

_LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


def _documents() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / name for name in listed.stdout.split()]


@pytest.mark.parametrize("service", MODELS)
def test_readme_has_every_setting_of_its_service(service: str) -> None:
    text = readme(service).read_text()
    assert text == with_table(text, MODELS[service]), "run: python -m tools.settings_tables"


def test_table_of_settings_falls_behind_visibly() -> None:
    text = readme("router").read_text().replace("HEADRACE_DATABASES", "HEADRACE_DATABASE")
    assert text != with_table(text, MODELS["router"])
    assert "HEADRACE_DATABASES" in table(MODELS["router"])


def test_setting_with_an_alias_is_named_as_it_is_read() -> None:
    assert "| `ECS_AGENT_URI` |" in table(MODELS["loader"])
    assert "HEADRACE_ECS_AGENT_URI" not in table(MODELS["loader"])


def test_page_of_metrics_has_every_metric() -> None:
    text = metrics_table.PAGE.read_text()
    assert text == metrics_table.with_table(text), "run: python -m tools.metrics_table"


def test_links_between_documents_lead_somewhere() -> None:
    broken = [
        f"{document.relative_to(ROOT)}: {target}"
        for document in _documents()
        for target in _LINK.findall(document.read_text())
        if not (document.parent / target).exists()
    ]
    assert not broken


def test_readme_names_targets_that_make_has() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for document in ("README.md", "CONTRIBUTING.md"):
        named = re.findall(r"^    make ([a-z]+)", (ROOT / document).read_text(), re.MULTILINE)
        assert named
        assert set(named) <= targets


def test_ci_runs_the_commands_of_the_readme() -> None:
    ci = (ROOT / ".ci" / "run").read_text()
    for target in re.findall(r"^    make ([a-z]+)", (ROOT / "README.md").read_text(), re.MULTILINE):
        assert f"make {target}" in ci
