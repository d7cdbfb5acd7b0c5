"""What no committed file may say, and which folders owe the reader a README."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from tools.layout import source_files

# Which index to install from, and where somebody's home is, is the business of one machine.
# The brackets keep this file from naming what it looks for.
_OF_ONE_MACHINE: Final = re.compile(
    r"--(?:extra-)?index[-]url|--find[-]links|(?:PIP|UV)_(?:EXTRA_)?INDEX|(?:PIP|UV)_FIND[_]LINKS"
    r"|pypi[.]org|pythonhosted[.]org|/api/[p]ypi/|https?://\S+/simple\b"
    r"|file:///\w|/[r]oot/|/(?:home|Users)/[a-z]\w*/"
)
_CODE_SUFFIXES: Final = frozenset({".py", ".sh", ".tf"})


def traces_of_one_machine(root: Path) -> list[str]:
    """Lines that name a package index, a registry or somebody's folders."""
    return [
        f"{path.relative_to(root)}:{number}: {found.group()}"
        for path in source_files(root)
        for number, line in enumerate(path.read_text("utf-8", errors="ignore").splitlines(), 1)
        if (found := _OF_ONE_MACHINE.search(line))
    ]


def folders_without_readme(root: Path) -> list[str]:
    """Distributions, and other top folders with code in them, that lack a README.md."""
    homes = {_home(path, root) for path in source_files(root) if path.suffix in _CODE_SUFFIXES}
    return [
        f"{home.relative_to(root)}/README.md is missing"
        for home in sorted(homes - {root})
        if not (home / "README.md").is_file()
    ]


def _home(path: Path, root: Path) -> Path:
    """The distribution that a file belongs to, or else its folder just below the root."""
    above = [folder for folder in path.parents if folder.is_relative_to(root) and folder != root]
    owned = [folder for folder in above if (folder / "pyproject.toml").is_file()]
    return (owned or above[-1:] or [root])[0]
