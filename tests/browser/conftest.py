"""A platform with a morning's drops, and a browser that looks at it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from headrace_local.platform import PlatformOptions
from tests.browser.chromium import ARGUMENTS, EXECUTABLE, need_chromium, sign_in
from tests.running_platform import RunningPlatform, running

WITHIN_MILLISECONDS: Final = 30_000

_AXE: Final = Path(__file__).parent / "vendor" / "axe.min.js"
_MOST_TABS: Final = 200

Look = Callable[..., Page]


def violations(page: Page) -> list[Any]:
    """What axe finds in what the page shows now."""
    # Evaluated by the debugger, which the page's policy does not bind.
    page.evaluate(_AXE.read_text())
    found = page.evaluate("axe.run().then((found) => found.violations)")
    return [(one["id"], one["help"], [node["html"] for node in one["nodes"]]) for one in found]


def tab_to(page: Page, words: str) -> None:
    """Presses Tab until what has the focus says these words."""
    for _ in range(_MOST_TABS):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent.trim()") == words:
            return
    pytest.fail(f"{words} is not reached by keyboard")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(autouse=True)
def patience() -> Iterator[None]:
    expect.set_options(timeout=WITHIN_MILLISECONDS)
    yield
    expect.set_options(timeout=5_000)


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    need_chromium()
    folder = tmp_path_factory.mktemp("browser")
    with running(PlatformOptions(data_dir=folder / "headrace", ephemeral=True)) as made:
        made.contract("users")
        made.land("dev/append/users/good.csv", "id,name\n1,Ada\n2,Grace\n")
        made.await_state("dev/append/users/good.csv", "loaded")
        made.land("dev/append/users/bad.csv", "id,name\n3,Edsger\nforty,Alan\n")
        made.await_state("dev/append/users/bad.csv", "rejected")
        yield made


# For one module: while Playwright is open, its event loop runs in this thread, and asyncio.run is
# refused to the fixtures of others.
@pytest.fixture(scope="module")
def browser(platform: RunningPlatform) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=EXECUTABLE, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture
def look(browser: Browser, platform: RunningPlatform) -> Iterator[Any]:
    """Opens pages, signed in unless told otherwise; in the end, none may have complained."""
    complaints: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        # That a view itself is an error, the browser tells too.
        is_the_view = message.page is not None and message.location["url"] == message.page.url
        if message.type in {"error", "warning"} and not is_the_view:
            complaints.append(message.text)

    contexts = []

    def opened(path: str, *, has_key: bool = True, key: str | None = None, **options: Any) -> Page:
        context = browser.new_context(base_url=platform.stack.api_url, **options)
        if has_key:
            sign_in(context, platform.stack, key)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WITHIN_MILLISECONDS)
        page.on("console", hear)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.goto(path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not complaints, json.dumps(complaints, indent=2)
