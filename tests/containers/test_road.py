"""The road through the images: read-only, without capabilities, ended in the middle of a load."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from testcontainers.core.container import DockerContainer

from tests.containers.composed import Composed, inside, said
from tests.containers.engine import BUILD_SECONDS, SERVICES
from tests.running_platform import Reached, eventually

pytestmark = [pytest.mark.containers, pytest.mark.timeout(BUILD_SECONDS + 120)]

BIG_ROWS = 2_000_000
STOP_SECONDS = 60


@pytest.fixture(scope="module")
def road(platform: Composed) -> Reached:
    """All five services run."""
    for service in SERVICES:
        platform.start(service)
    return platform.reached()


def parquet(rows: int) -> bytes:
    table = pa.table({"id": range(rows), "name": [f"name of {one}" for one in range(rows)]})
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def test_csv_and_parquet_files_come_out_at_the_other_end(road: Reached) -> None:
    road.contract("users")
    road.land("dev/append/users/1.csv", "id,name\n1,Ada\n2,Grace\n")
    road.land("dev/append/users/2.parquet", parquet(1_000))
    for key, rows in (("dev/append/users/1.csv", 2), ("dev/append/users/2.parquet", 1_000)):
        assert road.await_state(key, "loaded")["rows_loaded"] == rows
    assert road.count("dev.users") == 1_002


def test_verifier_comes_through(road: Reached, platform: Composed) -> None:
    road.contract("verified")
    verifier = platform.running["verifier"]
    eventually(lambda: '"verification.finished"' in said(verifier), said(verifier))


def test_bad_row_is_told_with_its_line(road: Reached) -> None:
    road.contract("bad")
    road.land("dev/append/bad/1.csv", "id,name\nnone,Ada\n")
    [bad] = road.await_state("dev/append/bad/1.csv", "rejected")["reason"]["bad_rows"]
    assert (bad["line"], bad["column"]) == (2, "id")
    assert road.count("dev.bad") == 0


def test_loader_that_is_stopped_in_a_load_finishes_it(road: Reached, platform: Composed) -> None:
    road.contract("big")
    key = "dev/append/big/1.csv"
    road.land(key, "id,name\n" + "".join(f"{one},name of {one}\n" for one in range(BIG_ROWS)))
    loader = platform.running["loader"]
    eventually(lambda: road.copying() > 1_000, "a COPY is under way")
    assert road.count("dev.big") == 0
    assert stopped(loader) == 0, said(loader)
    # No other loader runs: what is loaded now, this one finished after SIGTERM.
    assert road.await_state(key, "loaded")["rows_loaded"] == BIG_ROWS
    assert road.count("dev.big") == BIG_ROWS
    lines = said(loader)
    assert lines.index('"service.stopping"') < lines.rindex('"load.committed"')
    platform.start("loader")
    road.land("dev/append/big/2.csv", "id,name\n1,after\n")
    road.await_state("dev/append/big/2.csv", "loaded")
    assert road.count("dev.big") == BIG_ROWS + 1


def stopped(container: DockerContainer) -> int:
    """The exit status after SIGTERM; 137 if the engine had to kill it."""
    inside(container).stop(timeout=STOP_SECONDS)
    return container.wait()
