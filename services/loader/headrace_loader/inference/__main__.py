"""Prints the contract that files suggest: `python -m headrace_loader.inference [--tight] FILE NAME
[FILE NAME]...`.

It is a process of its own, for DuckDB takes memory that a loader would not give back. The answer
is one JSON object: `document` and `unsure`; or, with exit status 3, `what` and `remedy`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

from headrace_loader.inference.asking import NO_CONTRACT
from headrace_loader.inference.errors import InferenceError
from headrace_loader.inference.inferring import infer
from headrace_shared.contract import ContractError, read_contract

_TIGHT: Final = "--tight"


def main(arguments: list[str]) -> int:
    """Infers from the files that the command line names."""
    tight = arguments[:1] == [_TIGHT]
    rest = arguments[1:] if tight else arguments
    files = [(Path(path), name) for path, name in zip(rest[::2], rest[1::2], strict=True)]
    try:
        found = infer(files, tight=tight)
        read_contract(json.dumps(found.document).encode())
    except InferenceError as error:
        _answer({"what": error.what, "remedy": error.remedy})
        return NO_CONTRACT
    except ContractError as error:
        faults = "; ".join(error.faults[:3])
        remedy = "Write the contract by hand: docs/contracts.md."
        _answer({"what": f"What the file suggests is no contract: {faults}.", "remedy": remedy})
        return NO_CONTRACT
    _answer({"document": found.document, "unsure": list(found.unsure)})
    return 0


def _answer(answer: dict[str, object]) -> None:
    sys.stdout.write(f"{json.dumps(answer)}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
