"""What a person decided, a correction or a revert, is not undone by the next file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from headrace_loader.lake import S3Lake
from headrace_loader.loading import Loading
from headrace_loader.outcomes import Loaded, Rejected
from headrace_loader.own_contracts import OwnContracts
from headrace_loader.postgres import PostgresWarehouse
from headrace_shared.aws import AwsClients
from headrace_shared.errors import TransientError
from headrace_shared.warehouse_access import WarehouseAccess
from tests.road import Road

QUARANTINE = {"mode": "quarantine"}


@asynccontextmanager
async def inferring(road: Road) -> AsyncIterator[Loading]:
    """Loads as `road` does, and infers the contracts of the database `lab`."""
    access = WarehouseAccess(road.dsn)
    async with AsyncExitStack() as stack:
        warehouse = await stack.enter_async_context(
            PostgresWarehouse.open(access, connections=4, lock_timeout_seconds=5)
        )
        s3 = await AwsClients(stack, connections=2).open("s3")
        own = OwnContracts(S3Lake(s3), s3, ["lab"])
        yield Loading(road.files, warehouse, contract_wait_seconds=900, own_contracts=own)


@pytest.mark.parametrize("policy", [None, "append", "replace"])
async def test_correction_of_a_correction_is_rejected_and_names_the_key_to_use(
    road: Road, policy: str | None
) -> None:
    await road.contract(
        on_bad_rows=QUARANTINE, **({"on_reupload": policy} if policy is not None else {})
    )
    original = road.land("dev/append/users/a.csv", "id,name\n1,a\nx,b\ny,c\n")
    await road.bring(original)
    key = f"dev/append/users/a.corrects-{original.drop_id}.csv"
    first = road.land(key, "id,name\n2,b\ny,c\n")
    assert isinstance(await road.bring(first), Loaded)
    second = road.land(f"dev/append/users/a.corrects-{first.drop_id}.csv", "id,name\n2,b\n3,c\n")
    rejected = await road.bring(second)
    assert isinstance(rejected, Rejected), rejected
    assert rejected.reason.code == "corrects_a_correction"
    assert key in rejected.reason.remedy
    assert [id_ for id_, *_ in road.rows()] == [1, 2]


async def test_reverted_contract_that_was_inferred_is_not_inferred_again(road: Road) -> None:
    async with inferring(road) as loading:
        first = road.land("lab/append/things/1.csv", "id,name\n1,a\n2,b\n")
        with pytest.raises(TransientError, match="was inferred"):
            await loading.load(first, attempt=1)
        key = "lab/schema/things/inferred.json"
        bucket = road.aws.resources.bucket.name
        body = road.aws.clients.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        contract = road.land(key, body, at=0)
        await road.bring(contract)
        assert isinstance(await loading.load(first, attempt=1), Loaded)
        await loading.revert(contract, 1_900_000_000_000)
        later = road.land("lab/append/things/2.csv", "id,name\n3,c\n")
        with pytest.raises(TransientError) as waiting:
            await loading.load(later, attempt=1)
    reason = waiting.value.reason
    assert (reason.code, "was reverted" in reason.message) == ("contract_missing", True)
    assert f"headrace replay {contract.drop_id}" in reason.remedy
