"""One verification with its real parts, opened and closed again."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Final

from headrace_shared.aws import AwsClients
from headrace_shared.bus import EventBridgeBus
from headrace_verifier.lake import Lake
from headrace_verifier.ledger import Ledger
from headrace_verifier.log import AT_ONCE, Log
from headrace_verifier.settings import VerifierSettings
from headrace_verifier.verification import Plan, Tally, Teller, Verification

_CONNECTIONS: Final = AT_ONCE + 2


async def verify(settings: VerifierSettings, plan: Plan, teller: Teller, *, resume: bool) -> Tally:
    """Runs one verification to its end.

    Raises:
        TransientError: a part cannot be reached; with `resume`, the next one goes on from there.
    """
    async with AsyncExitStack() as stack:
        clients = AwsClients(stack, connections=_CONNECTIONS)
        verification = Verification(
            Lake(await clients.open("s3"), settings.lake_bucket),
            await stack.enter_async_context(Ledger.open(settings.warehouse_dsn)),
            Log(await clients.open("dynamodb"), settings.log_table),
            EventBridgeBus(await clients.open("events"), settings.bus_name),
            plan,
            teller,
        )
        return await verification.run(resume=resume)
