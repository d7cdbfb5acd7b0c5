"""Runs the loader: `python -m headrace_loader`."""

from __future__ import annotations

from functools import partial

from headrace_loader.files import Files
from headrace_loader.handler import LoaderHandler
from headrace_loader.lake import S3Lake
from headrace_loader.loading import Loading
from headrace_loader.own_contracts import OwnContracts
from headrace_loader.postgres import PostgresWarehouse
from headrace_loader.settings import LoaderSettings
from headrace_loader.sifting.quarantine import Quarantine
from headrace_shared.availability import Availability
from headrace_shared.inbox import Handler
from headrace_shared.service import Parts, run_service
from headrace_shared.settings import load_settings
from headrace_shared.warehouse_access import WarehouseAccess


def main() -> None:
    """Reads the settings, wires the parts, and serves until a signal comes."""
    settings = load_settings(LoaderSettings)
    run_service("loader", settings, partial(build, settings))


async def build(settings: LoaderSettings, parts: Parts) -> Handler:
    """Wires the parts."""
    warehouse = await parts.stack.enter_async_context(
        PostgresWarehouse.open(
            await WarehouseAccess.open(settings, parts.clients),
            connections=2 * settings.loads + 1,
            lock_timeout_seconds=settings.lock_timeout_seconds,
            stall_seconds=settings.lake_stall_seconds,
            rules=settings.test_rules,
            lake=settings.lake_mark,
        )
    )
    availability = Availability(parts.gate, warehouse.probe)
    parts.stack.push_async_callback(availability.close)
    s3 = await parts.clients.open("s3")
    quarantine = Quarantine(s3, settings.quarantine_bucket)
    lake = S3Lake(s3)
    loading = Loading(
        Files(lake, quarantine, settings.file_limits),
        warehouse,
        contract_wait_seconds=settings.contract_wait_seconds,
        loads=settings.loads,
        gate=parts.gate,
        require=availability.require,
        own_contracts=OwnContracts(lake, s3, settings.infer_databases),
    )
    return LoaderHandler(loading, parts.bus, availability)


if __name__ == "__main__":
    main()
