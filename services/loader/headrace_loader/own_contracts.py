"""A table's first contract, made by the loader itself from the table's first file.

The contract is dropped into the lake like any other: it has a place in the order, a version and a
story of its own, and whoever wants another one drops it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from headrace_loader.inference.asking import suggested
from headrace_loader.inference.errors import InferenceError
from headrace_loader.inference.sampling import SAMPLE_BYTES
from headrace_loader.lake import S3Lake
from headrace_loader.spooling import spooled
from headrace_shared.aws import error_code, transient_aws_errors
from headrace_shared.drop import Action, Drop
from headrace_shared.errors import PermanentError, TransientError
from headrace_shared.logging import get_logger
from headrace_shared.reasons import Reason
from headrace_shared.settings import ANY_DATABASE

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client

_log = get_logger(__name__)

_WAIT_SECONDS: Final = 2.0
_NOT_THERE: Final = frozenset({"404", "NoSuchKey"})
_THERE: Final = frozenset({"412", "PreconditionFailed", "ConditionalRequestConflict"})


class OwnContracts:
    """Makes contracts for the tables of some databases.

    Args:
        databases: their names; `*` among them for any.
    """

    def __init__(self, lake: S3Lake, client: S3Client, databases: Collection[str]) -> None:
        self._lake = lake
        self._client = client
        self._databases = databases

    def makes_for(self, drop: Drop) -> bool:
        """Whether the table of this drop may get a contract so."""
        return drop.action is not Action.SCHEMA and bool(
            {drop.db_name, ANY_DATABASE} & set(self._databases)
        )

    async def make(self, drop: Drop) -> TransientError:
        """Makes the contract, unless that was done before; answers with what the drop waits for.

        Raises:
            PermanentError: nothing can be inferred from the file.
            TransientError: the lake could not be reached.
        """
        key = inferred_key(drop)
        if not await self._is_there(drop.bucket, key):
            await self._put(drop, key, await self._document(drop))
        reason = Reason(
            code="contract_inferred",
            message=f"The table {drop.table} has no contract yet: one was inferred from a file "
            f"and dropped at {key}.",
            remedy="Nothing: the file is loaded once that contract is applied.",
        )
        return TransientError(reason.message, retry_after=_WAIT_SECONDS, reason=reason)

    async def _is_there(self, bucket: str, key: str) -> bool:
        with transient_aws_errors(f"looking for {key}"):
            try:
                await self._client.head_object(Bucket=bucket, Key=key)
            except ClientError as error:
                if error_code(error) in _NOT_THERE:
                    return False
                raise
        return True

    async def _document(self, drop: Drop) -> bytes:
        async with self._lake.open(drop) as blocks, spooled(blocks, SAMPLE_BYTES) as path:
            try:
                found = await suggested(path, drop.file or drop.key)
            except InferenceError as error:
                raise _refusal(drop, error) from error
        _log.info("contract.inferred", unsure=len(found.unsure))
        unsure = " ".join(f"Unsure: {doubt}" for doubt in found.unsure)
        description = f"Inferred from {drop.key} (drop {drop.drop_id}). {unsure}".strip()
        document = without_guesses(found.document) | {"description": description[:4_000]}
        return json.dumps(document, indent=2).encode()

    async def _put(self, drop: Drop, key: str, document: bytes) -> None:
        with transient_aws_errors(f"writing {key}"):
            try:
                # Of two loaders that infer at once the first one's contract counts.
                await self._client.put_object(
                    Bucket=drop.bucket, Key=key, Body=document, IfNoneMatch="*"
                )
            except ClientError as error:
                if error_code(error) not in _THERE:
                    raise


def inferred_key(drop: Drop) -> str:
    """The key of the contract that is inferred for the drop's table."""
    return f"{drop.db_name}/{Action.SCHEMA}/{drop.table_name}/inferred.json"


def without_guesses(document: Mapping[str, Any]) -> dict[str, Any]:
    """The contract without a key and without an encoding that is only likely: no person has looked
    at it, and one file says little of the next. A file that needs the encoding is then rejected
    with the candidates."""
    kept = {name: part for name, part in document.items() if name != "primary_key"}
    written = document.get("format", {})
    if written.get("encoding", "utf-8").startswith("utf-"):
        return kept
    return {**kept, "format": {**written, "encoding": "detect"}}


def _refusal(drop: Drop, error: InferenceError) -> PermanentError:
    return PermanentError(
        Reason(
            code="contract_missing",
            message=f"The table {drop.table} has no contract, and none can be inferred: "
            f"{error.what}",
            remedy=f"Drop one at {drop.db_name}/schema/{drop.table_name}/contract.json, then "
            "replay this drop.",
        )
    )
