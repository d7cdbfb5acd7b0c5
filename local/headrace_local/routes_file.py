"""The file of `headrace up --routes`: a JSON or YAML list of routes."""

from __future__ import annotations

from pathlib import Path

from headrace_local.errors import UserError
from headrace_shared.contract_document import DocumentError, read_document
from headrace_shared.routes import read_routes


def routes_in(path: Path) -> tuple[str, ...]:
    """The lines of the file.

    Raises:
        UserError: it cannot be read, or a line is no route; says which.
    """
    try:
        lines = read_document(path.read_text("utf-8")).data
        if not isinstance(lines, list):
            raise ValueError("the file is no list of lines")  # noqa: TRY004, TRY301 - handled below
        read_routes(lines)
    except OSError as error:
        raise _bad(path, error.strerror or str(error)) from None
    except (DocumentError, ValueError) as error:
        raise _bad(path, str(error)) from None
    return tuple(lines)


def _bad(path: Path, why: str) -> UserError:
    return UserError(
        "The routes cannot be read.",
        f"{path}: {why}",
        "Write a list of lines: - raw/orders/dt={dt}/*.csv -> shop/append/orders",
    )
