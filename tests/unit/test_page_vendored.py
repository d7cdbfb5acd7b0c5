"""What the page carries of others is what its list says, and little."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "services" / "api" / "headrace_api" / "page"
FOLDERS = (PAGE / "vendor", ROOT / "tests" / "browser" / "vendor")
MOST_BYTES = 80_000


def listed(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / "VENDORED.json").read_text())
    return found


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda one: one.parent.name)
def test_vendored_files_are_the_listed_ones(folder: Path) -> None:
    for one in listed(folder):
        assert hashlib.sha256((folder / one["file"]).read_bytes()).hexdigest() == one["sha256"]
        assert one["version"]
        assert one["licence"]
        assert (folder / one["licence_file"]).is_file()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda one: one.parent.name)
def test_nothing_unlisted_is_vendored(folder: Path) -> None:
    known = {name for one in listed(folder) for name in (one["file"], one["licence_file"])}
    assert {path.name for path in folder.iterdir()} == known | {"VENDORED.json"}


def test_the_page_weighs_less_than_80_kb_gzipped() -> None:
    loaded = [PAGE / "vendor" / one["file"] for one in listed(PAGE / "vendor")]
    loaded += (PAGE / "assets").iterdir()
    assert sum(len(gzip.compress(path.read_bytes())) for path in loaded) < MOST_BYTES
