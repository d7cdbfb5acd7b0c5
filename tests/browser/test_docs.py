"""`/docs` in a real browser: it shows whatever the document describes, and tries it."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.conftest import Look
from tests.running_platform import RunningPlatform


def card_of(page: Page, operation: str) -> Any:
    title = page.get_by_role("heading", name=operation, exact=True)
    return page.locator("article").filter(has=title)


def test_docs_show_every_operation_with_its_examples(look: Look, platform: RunningPlatform) -> None:
    page = look("/docs")
    paths = platform.get("/openapi.json")["paths"]
    there_are = {f"{method.upper()} {path}" for path, of in paths.items() for method in of}
    expect(page.locator("article")).to_have_count(len(there_are))
    assert set(page.locator("article h2").all_inner_texts()) == there_are

    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    for operation in there_are:
        for example in card_of(page, operation).locator("details pre").all():
            assert example.inner_text().strip() not in {"", "undefined", "null"}, operation
    rows = card_of(page, "GET /v1/tables/{db_name}/{table_name}/rows")
    assert rows.get_by_label("filters").get_attribute("placeholder") == "username=ada"
    assert "username,identifier" in rows.locator("details pre").nth(1).inner_text()


def test_docs_ask_what_is_filled_in(look: Look, platform: RunningPlatform) -> None:
    page = look("/docs", has_key=False)
    page.locator("#key").fill(platform.stack.api_key)
    drops = card_of(page, "GET /v1/drops")
    drops.get_by_label("limit").fill("1")
    drops.get_by_role("button").click()
    expect(drops.locator("> pre")).to_contain_text('"next_cursor"')

    replays = card_of(page, "POST /v1/replays")
    replays.get_by_label("Body").fill('{"db_name": "dev", "table_name": "none_of_ours"}')
    replays.get_by_role("button").click()
    expect(replays.locator("> pre")).to_contain_text("202 Accepted")
    expect(replays.locator("> pre")).to_contain_text('"items": []')
