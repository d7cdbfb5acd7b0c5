"""The page in a real browser, before a real platform."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Look, tab_to, violations
from tests.running_platform import RunningPlatform, eventually

VIEWS: Final = ("/", "/tables", "/tables/dev/users", "BAD", "/attention", "/sign-in", "/drops/none")
HOSTILE: Final = "<img src=x onerror=document.title='owned'>"
PHONE: Final = {"width": 375, "height": 700}


@pytest.fixture
def bad(platform: RunningPlatform) -> str:
    """The path of the rejected drop."""
    drop = platform.drop("dev/append/users/bad.csv")
    assert drop is not None
    return f"/drops/{drop['drop_id']}"


def row_of(page: Page, file: str) -> Any:
    return page.locator("#drops tbody tr", has_text=file)


def live(page: Page) -> None:
    page.locator("#link[data-state=live]").wait_for()


def test_a_drop_arrives_without_a_reload(look: Look, platform: RunningPlatform) -> None:
    page = look("/")
    live(page)
    page.evaluate("window.sameAsBefore = true")
    platform.land("dev/append/users/arrives.csv", "id,name\n10,Barbara\n")
    expect(row_of(page, "arrives.csv")).to_contain_text("loaded")
    expect(page.locator("#told")).to_have_attribute("aria-live", "polite")
    assert page.evaluate("window.sameAsBefore") is True


def test_a_filtered_list_takes_in_only_what_passes(look: Look, platform: RunningPlatform) -> None:
    page = look("/?table=dev.users&text=wanted")
    live(page)
    platform.land("dev/append/users/other.csv", "id,name\n11,Frances\n")
    platform.await_state("dev/append/users/other.csv", "loaded")
    platform.land("dev/append/users/wanted.csv", "id,name\n12,Katherine\n")
    expect(row_of(page, "wanted.csv")).to_contain_text("loaded")
    assert row_of(page, "other.csv").count() == 0


def test_a_rejected_drop_leads_to_its_bad_cell(look: Look) -> None:
    page = look("/")
    row_of(page, "bad.csv").get_by_role("link", name="bad.csv").click()
    cells = page.locator(".bad-rows tbody tr").first.locator("th, td")
    expect(cells).to_have_text(["3", "id", "forty", '"forty" is not an integer'])
    expect(page.locator(".what")).to_contain_text("What to do")


def test_a_rejected_drop_can_be_asked_for_again(look: Look, bad: str) -> None:
    page = look(bad)
    page.get_by_role("button", name="Replay").click()
    expect(page.locator(".said")).to_contain_text("Asked for")


def test_all_bad_rows_can_be_downloaded(look: Look, bad: str) -> None:
    page = look(bad)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download quarantine").click()
    (line,) = Path(download.value.path()).read_text().splitlines()
    assert json.loads(line)["raw"] == "forty,Alan"


def test_a_key_is_asked_for_and_leads_to_where_one_wanted(
    look: Look, platform: RunningPlatform
) -> None:
    page = look("/tables?text=users", has_key=False)
    page.get_by_label("API key").fill("hr_wrong_key")
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("main")).to_contain_text("does not let you in")
    page.get_by_label("API key").fill(platform.stack.api_key)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/tables?text=users")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in")


def test_the_filter_is_in_the_address(look: Look) -> None:
    page = look("/")
    page.get_by_label("State").select_option("rejected")
    page.get_by_label("Table").fill("users")
    page.get_by_role("button", name="Filter").click()
    page.wait_for_url("**/?table=users&state=rejected&text=")
    expect(row_of(page, "bad.csv")).to_have_count(1)
    assert row_of(page, "good.csv").count() == 0


def test_an_error_is_a_sentence(look: Look) -> None:
    page = look("/tables/dev/nothing_here")
    expect(page.get_by_role("alert")).to_have_text("Nothing was ever dropped for dev.nothing_here.")


def test_tables_show_rows_and_charts(look: Look, platform: RunningPlatform) -> None:
    platform.land("dev/append/users/chart.csv", "id,name\n20,Mary\n")
    platform.await_state("dev/append/users/chart.csv", "loaded")
    page = look("/tables")
    row = page.locator("tbody tr", has_text="dev.users")
    expect(row.locator("canvas")).to_have_count(1)
    expect(row.get_by_role("img")).to_have_attribute(
        "aria-label", re.compile(r"^dev\.users: \d+ loads: ")
    )
    row.get_by_role("link", name="dev.users").click()
    expect(page.get_by_role("heading", name="dev.users")).to_be_visible()
    expect(page.locator("tr.schema")).to_have_count(1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_are_the_systems(look: Look, scheme: str) -> None:
    page = look("/", color_scheme=scheme)
    color = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    light = sum(int(part) for part in color.strip("rgb()").split(",")[:3])
    assert (light > 384) is (scheme == "light")


@pytest.mark.parametrize("view", VIEWS)
def test_a_phone_never_scrolls_sideways(look: Look, bad: str, view: str) -> None:
    page = look(view.replace("BAD", bad), viewport=PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_long_names_never_scroll_sideways(look: Look, platform: RunningPlatform) -> None:
    table = f"long_{'name_' * 11}end"
    platform.contract(table)
    key = f"dev/append/{table}/{'x' * 150}.csv"
    platform.land(key, f"id,name\n{'y' * 150},Ada\n")
    drop = platform.await_state(key, "rejected")
    views = ("/", "/tables", f"/tables/dev/{table}", "/attention", f"/drops/{drop['drop_id']}")
    for view in views:
        page = look(view, viewport=PHONE)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_no_violation(look: Look, bad: str, view: str, scheme: str) -> None:
    page = look(view.replace("BAD", bad), color_scheme=scheme)
    assert not violations(page)


def test_the_keyboard_alone_leads_to_a_bad_cell_and_replays_its_drop(
    look: Look, platform: RunningPlatform
) -> None:
    platform.land("dev/append/users/typed.csv", "id,name\n5,Joan\nsix,Jean\n")
    platform.await_state("dev/append/users/typed.csv", "rejected")
    page = look("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.type("typed.csv")
    width = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
    assert width != "0px"
    page.keyboard.press("Enter")
    page.wait_for_url("**text=typed.csv*")
    live(page)
    tab_to(page, "typed.csv")
    page.keyboard.press("Enter")
    expect(page.locator(".bad-rows tbody td").nth(1)).to_have_text("six")
    tab_to(page, "Replay")
    page.keyboard.press("Space")
    expect(page.get_by_role("status")).to_contain_text("Asked for")
    eventually(lambda: platform.drop("dev/append/users/typed.csv")["run"], "it runs again")  # type: ignore[index]


def test_hostile_names_and_values_stay_text(look: Look, platform: RunningPlatform) -> None:
    key = f"dev/append/users/{HOSTILE}.csv"
    platform.land(key, f"id,name\n{HOSTILE},Mallory\n")
    drop = eventually(lambda: _ended(platform, key), "the hostile drop has ended")
    for path in ("/", "/tables/dev/users", "/attention", f"/drops/{drop['drop_id']}"):
        page = look(path)
        expect(page.get_by_text(HOSTILE).first).to_be_visible()
        assert page.locator("img[src=x]").count() == 0
        assert "owned" not in page.title().replace(HOSTILE, "")
    page = look(f"/drops/{drop['drop_id']}")
    expect(page.locator(".bad-rows")).to_contain_text(HOSTILE)


def _ended(platform: RunningPlatform, key: str) -> dict[str, Any] | None:
    drop = platform.drop(key)
    return drop if drop is not None and drop["state"] == "rejected" else None


def test_nothing_is_asked_of_anybody_else(look: Look, platform: RunningPlatform) -> None:
    page = look("/sign-in")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for path in ("/", "/tables", "/attention"):
        page.goto(path)
    assert asked
    assert all(url.startswith((platform.stack.api_url, "data:")) for url in asked)
