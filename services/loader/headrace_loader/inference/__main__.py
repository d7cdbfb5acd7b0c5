"""Prints the contract that a CSV file suggests: `python -m headrace_loader.inference FILE`.

It is a process of its own, for DuckDB takes memory that a loader would not give back. The answer
is one JSON object: `document` and `unsure`; or, with exit status 3, `what` and `remedy`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from headrace_loader.inference.asking import NO_CONTRACT
from headrace_loader.inference.errors import InferenceError
from headrace_loader.inference.profiling import profile_of
from headrace_loader.inference.sampling import sample_of
from headrace_loader.inference.suggesting import inferred
from headrace_shared.contract import ContractError, read_contract


def main(arguments: list[str]) -> int:
    """Infers from the file that the command line names."""
    (file,) = arguments
    try:
        with sample_of(Path(file)) as sample:
            found = inferred(
                profile_of(sample), sample.encoding, guessed=sample.guessed, whole=sample.whole
            )
        read_contract(json.dumps(found.document).encode())
    except InferenceError as error:
        _answer({"what": error.what, "remedy": error.remedy})
        return NO_CONTRACT
    except ContractError as error:
        told = "; ".join(error.faults[:3])
        remedy = "Write the contract by hand: docs/contracts.md."
        _answer({"what": f"What the file suggests is no contract: {told}.", "remedy": remedy})
        return NO_CONTRACT
    _answer({"document": found.document, "unsure": list(found.unsure)})
    return 0


def _answer(answer: dict[str, object]) -> None:
    sys.stdout.write(f"{json.dumps(answer)}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
