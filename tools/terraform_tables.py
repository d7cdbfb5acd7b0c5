"""Writes the tables of inputs, outputs and rights into the READMEs under infra/terraform.

`python -m tools.terraform_tables` writes; `make check` and a test fail when a README is behind its
module.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tools.terraform_blocks import TERRAFORM, Block, blocks, modules, text
from tools.terraform_rights import rights

COMMAND: Final = "python -m tools.terraform_tables"


def stale_tables(root: Path) -> list[str]:
    """READMEs of modules that are missing, have no place for a table, or are behind the module."""
    folder = root / "infra" / "terraform"
    judged = [(module / "README.md", module) for module in modules(folder)]
    return [
        f"{readme.relative_to(root)}{wrong}"
        for readme, module in judged
        if (wrong := _wrong(readme, module))
    ]


def with_tables(readme: str, module: Path) -> str:
    """A README's text with its tables brought up to date.

    Raises:
        ValueError: the text has no place for a table that the module has something for.
    """
    for name, table in _tables(module).items():
        begin, end = f"<!-- {name}: {COMMAND} -->", f"<!-- end of {name} -->"
        before, found, rest = readme.partition(begin)
        _, ended, after = rest.partition(end)
        if not found or not ended:
            raise ValueError(f"no lines {begin} and {end}")
        readme = f"{before}{begin}\n{table}\n{end}{after}"
    return readme


def inputs(module: Path) -> str:
    """The table of a module's variables, the needed ones first."""
    variables = blocks(module, "variable")
    variables.sort(key=lambda one: "default" in one.arguments())
    rows = [
        f"| `{one.name}` | {_type(one)} | {_default(one)} | {_said(one)} |" for one in variables
    ]
    return "\n".join(["| input | type | default | meaning |", "|---|---|---|---|", *rows])


def outputs(module: Path) -> str:
    """The table of a module's outputs."""
    rows = [f"| `{one.name}` | {_said(one)} |" for one in blocks(module, "output")]
    return "\n".join(["| output | meaning |", "|---|---|", *rows])


def _wrong(readme: Path, module: Path) -> str:
    """What is wrong with a README; nothing if it is as it should be."""
    if not readme.is_file():
        return " is missing"
    try:
        wanted = with_tables(readme.read_text(), module)
    except ValueError as error:
        return f": {error}"
    return "" if readme.read_text() == wanted else f": run {COMMAND}"


def _tables(module: Path) -> dict[str, str]:
    made: dict[str, Callable[[Path], str]] = {"inputs": inputs, "outputs": outputs}
    # The root has the rights of the whole.
    if (module / "modules").is_dir():
        made["rights"] = rights
    return {name: make(module) for name, make in made.items()}


def _type(variable: Block) -> str:
    return f"`{_one_line(variable.arguments()['type'])}`"


def _default(variable: Block) -> str:
    default = variable.arguments().get("default")
    return "needed" if default is None else f"`{_one_line(default)}`"


def _said(block: Block) -> str:
    return " ".join(text(block.arguments()["description"]).split()).replace("|", "\\|")


def _one_line(expression: str) -> str:
    flat = " ".join(expression.split())
    flat = re.sub(r"(?<=[\w)}\]]) (?=\w+ = )", ", ", flat)
    return flat.replace("({, ", "({ ").replace("|", "\\|")


def main() -> None:
    """Brings every README up to date."""
    for module in modules(TERRAFORM):
        readme = module / "README.md"
        readme.write_text(with_tables(readme.read_text(), module))


if __name__ == "__main__":
    main()
