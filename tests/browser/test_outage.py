"""A part of the platform goes away and comes back, while somebody looks at the page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from playwright.sync_api import expect

from headrace_local.platform import PlatformOptions
from tests.browser.chromium import need_chromium
from tests.browser.conftest import Look
from tests.running_platform import RunningPlatform, running


@pytest.fixture(scope="module")
def platform() -> Iterator[RunningPlatform]:
    """A platform that these tests alone may break, with its data on disk."""
    need_chromium()
    # Not in pytest's own folder: another run of pytest closes that to the user of Postgres.
    with (
        TemporaryDirectory(prefix="headrace-test-") as folder,
        running(PlatformOptions(data_dir=Path(folder), fsync=False)) as made,
    ):
        made.contract("users")
        made.land("dev/append/users/before.csv", "id,name\n1,Ada\n")
        made.await_state("dev/append/users/before.csv", "loaded")
        yield made


def test_without_the_warehouse_views_say_so_and_come_back_by_themselves(
    look: Look, platform: RunningPlatform
) -> None:
    now = look("/")
    now.locator("#link[data-state=live]").wait_for()
    with platform.without("postgres"):
        tables = look("/tables")
        expect(tables.get_by_role("alert")).to_contain_text("The warehouse cannot be reached")
        expect(tables.locator("main")).to_contain_text("tries again by itself")
        # What the log alone tells goes on: this one waits for the warehouse.
        platform.land("dev/append/users/meanwhile.csv", "id,name\n2,Grace\n")
        expect(now.locator("#drops")).to_contain_text("meanwhile.csv")
        expect(look("/attention").get_by_role("heading", name="Attention")).to_be_visible()
    expect(tables.get_by_role("link", name="dev.users")).to_be_visible()
    expect(now.locator("#drops tbody tr", has_text="meanwhile.csv")).to_contain_text("loaded")


def test_without_the_log_the_list_says_so_and_goes_on_by_itself(
    look: Look, platform: RunningPlatform
) -> None:
    now = look("/")
    now.locator("#link[data-state=live]").wait_for()
    with platform.without("aws"):
        expect(now.locator("#told")).to_contain_text("The log cannot be reached")
        drop = look("/tables/dev/users")
        expect(drop.get_by_role("alert")).to_contain_text("cannot be reached at the moment")
    expect(drop.get_by_role("heading", name="dev.users")).to_be_visible()
    platform.land("dev/append/users/after.csv", "id,name\n3,Edsger\n")
    expect(now.locator("#drops tbody tr", has_text="after.csv")).to_contain_text("loaded")
    expect(now.locator("#told")).not_to_contain_text("cannot be reached")
