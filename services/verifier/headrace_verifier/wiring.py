"""A verification's real parts, opened and closed again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from headrace_shared.aws import AwsClients
from headrace_shared.bus import EventBridgeBus
from headrace_shared.warehouse_access import WarehouseAccess
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
    async with opened_parts(settings) as parts:
        return await Verification(*parts, plan, teller).run(resume=resume)


@asynccontextmanager
async def opened_parts(
    settings: VerifierSettings,
) -> AsyncIterator[tuple[Lake, Ledger, Log, EventBridgeBus]]:
    """The parts that are compared, and the bus.

    Raises:
        TransientError: a part cannot be reached.
    """
    async with AsyncExitStack() as stack:
        clients = AwsClients(stack, connections=_CONNECTIONS)
        access = await WarehouseAccess.open(settings, clients)
        yield (
            Lake(await clients.open("s3"), settings.lake_bucket),
            await stack.enter_async_context(Ledger.open(access, settings.lake_name)),
            Log(await clients.open("dynamodb"), settings.log_table, settings.key_rules),
            EventBridgeBus(await clients.open("events"), settings.bus_name),
        )


@asynccontextmanager
async def opened_ledger(settings: VerifierSettings) -> AsyncIterator[Ledger]:
    """The ledger alone.

    Raises:
        TransientError: the warehouse cannot be reached.
    """
    async with AsyncExitStack() as stack:
        clients = AwsClients(stack, connections=1)
        access = await WarehouseAccess.open(settings, clients)
        yield await stack.enter_async_context(Ledger.open(access, settings.lake_name))
