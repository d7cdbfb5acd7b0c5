"""Has a contract inferred, by a process of its own."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from dataclasses import dataclass
from typing import Any, Final

from headrace_loader.inference.errors import InferenceError
from headrace_shared.errors import HeadraceError

NO_CONTRACT: Final = 3
"""The exit status that says why there is none."""

_MOST_SECONDS: Final = 120.0


class InferringError(HeadraceError):
    """The process ended otherwise than it should: a bug."""


@dataclass(frozen=True, slots=True)
class Suggested:
    """A contract, and what is not sure about it, a sentence each."""

    document: dict[str, Any]
    unsure: tuple[str, ...]


async def suggested(path: str, name: str) -> Suggested:
    """The contract that a file suggests.

    Args:
        name: the file's name in the lake.

    Raises:
        InferenceError: none can be inferred.
        InferringError: a bug.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "headrace_loader.inference", path, name,
        stdin=asyncio.subprocess.DEVNULL, stdout=PIPE, stderr=PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(_MOST_SECONDS):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        what = f"Nothing was inferred within {_MOST_SECONDS:g} seconds."
        raise InferenceError(what, "Write the contract by hand.") from None
    if process.returncode == NO_CONTRACT:
        answer = json.loads(out)
        raise InferenceError(answer["what"], answer["remedy"])
    if process.returncode:
        raise InferringError(err.decode(errors="replace").strip()[-2_000:])
    answer = json.loads(out)
    return Suggested(answer["document"], tuple(answer["unsure"]))
