"""Attention in a real browser: what needs somebody, and what they do about it there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from playwright.sync_api import Page, expect

from headrace_local.api_keys import put_key
from headrace_shared.api_keys import EVERY_TABLE, Scope, make_key
from headrace_shared.facts import DropRouted
from headrace_shared.testing.builders import a_drop, an_envelope
from tests.browser.conftest import Look, tab_to, violations
from tests.running_platform import RunningPlatform, eventually

HOSTILE: Final = "<img src=x onerror=document.title='owned'>"
PHONE: Final = {"width": 375, "height": 700}

Bury = Callable[..., None]


@pytest.fixture
def bury(platform: RunningPlatform) -> Iterator[Bury]:
    """Puts messages into a dead-letter queue; in the end, they are gone from there and from the
    inbox that they may have been moved to."""
    used = set()

    def put(*bodies: str, service: str = "loader") -> None:
        used.add(service)
        for body in bodies:
            queue = platform.stack.dead_letter_queues[service]
            platform.sqs.send_message(QueueUrl=queue, MessageBody=body)

    yield put
    for service in used:
        for urls in (platform.stack.dead_letter_queues, platform.stack.inboxes):
            platform.sqs.purge_queue(QueueUrl=urls[service])


def letters(page: Page) -> Any:
    return page.locator(".letters tbody tr")


def said(page: Page) -> Any:
    return page.get_by_role("region", name="Dead letters").get_by_role("status")


def test_without_dead_letters_attention_says_so(look: Look) -> None:
    page = look("/attention")
    expect(page.get_by_text("No message lies in a dead-letter queue.")).to_be_visible()
    expect(page.locator("#letter-count")).to_have_text("0")


def test_dead_letters_tell_whose_they_are_or_why_that_cannot_be_told(
    look: Look, bury: Bury
) -> None:
    routed = a_drop("dev/append/users/late.csv")
    bury(an_envelope(DropRouted(drop=routed)))
    bury("poison", service="router")
    page = look("/attention")
    expect(letters(page)).to_have_count(2)
    expect(page.locator("#letter-count")).to_have_text("2")
    poison, late = letters(page).nth(0), letters(page).nth(1)
    expect(late.get_by_role("rowheader")).to_contain_text("Drop Routed")
    link = late.get_by_role("link", name="dev/append/users/late.csv")
    expect(link).to_have_attribute("href", f"/drops/{routed.drop_id}")
    expect(poison).to_contain_text("unreadable: It is not JSON")
    expect(poison.locator("code")).to_have_text("poison")
    expect(page.locator(".queues li")).to_have_text(
        [
            "router 1 dead letter Redrive all of the router",
            "loader 1 dead letter Redrive all of the loader",
        ]
    )


def test_one_dead_letter_goes_back_to_its_inbox(look: Look, bury: Bury) -> None:
    bury("first words", "second words")
    page = look("/attention")
    expect(letters(page)).to_have_count(2)
    letters(page).filter(has_text="first words").get_by_role("button").click()
    expect(said(page)).to_have_text("1 dead letter is back in the inbox of the loader.")
    expect(letters(page)).to_have_count(1)
    expect(letters(page)).to_contain_text("second words")


def test_all_dead_letters_of_a_service_go_back_by_keyboard(look: Look, bury: Bury) -> None:
    bury("one", "other")
    bury("another", service="router")
    page = look("/attention")
    expect(letters(page)).to_have_count(3)
    tab_to(page, "Redrive all of the loader")
    page.keyboard.press("Enter")
    expect(said(page)).to_contain_text("the loader")
    expect(said(page)).to_be_focused()
    expect(letters(page)).to_have_count(1)
    tab_to(page, "Redrive all of the router")


def test_hostile_dead_letters_stay_text(look: Look, bury: Bury) -> None:
    named = {"source": "headrace", "detail-type": HOSTILE, "detail": {}}
    bury(
        HOSTILE,
        json.dumps(named),
        an_envelope(DropRouted(drop=a_drop(f"dev/append/users/{HOSTILE}"))),
    )
    page = look("/attention")
    expect(letters(page).get_by_text(HOSTILE)).to_have_count(3)
    assert page.locator("img[src=x]").count() == 0
    assert "owned" not in page.title()


def test_who_may_not_operate_is_told_so(look: Look, platform: RunningPlatform, bury: Bury) -> None:
    bury("poison")
    scopes = [Scope.READ, Scope.ROWS]
    text, kept = make_key(
        "a reader", scopes, [EVERY_TABLE], datetime.now(UTC).replace(microsecond=0)
    )
    put_key(platform.dynamodb, platform.stack.keys_table, kept)
    page = look("/attention", key=text)
    expect(page.locator("main")).to_contain_text("Your key lacks the scope operate")
    assert page.get_by_role("button", name="Re").count() == 0
    assert page.get_by_text("poison").count() == 0


def test_a_rejected_drop_is_replayed_once_its_contract_is_mended(
    look: Look, platform: RunningPlatform
) -> None:
    platform.contract("mended")
    key = "dev/append/mended/text.csv"
    platform.land(key, "id,name\none,Ada\n")
    platform.await_state(key, "rejected")
    columns = [{"name": "id", "type": "text"}, {"name": "name", "type": "text"}]
    document = {"columns": columns, "evolution": "allow_breaking"}
    platform.land("dev/schema/mended/wider.json", json.dumps(document))
    platform.await_state("dev/schema/mended/wider.json", "loaded")
    page = look("/attention")
    row = page.locator(".needs tbody tr", has_text="text.csv")
    expect(row.get_by_role("link", name="See 1 bad row")).to_be_visible()
    row.get_by_role("button", name="Replay").click()
    expect(row.get_by_role("status")).to_contain_text("Asked for")
    platform.await_state(key, "loaded")


def test_a_file_that_names_no_table_is_not_offered_for_replay(
    look: Look, platform: RunningPlatform
) -> None:
    platform.land("beach.jpg", "a picture")
    drop = eventually(lambda: platform.drop("beach.jpg"), "the picture is rejected")
    page = look("/attention")
    row = page.locator(".needs tbody tr", has_text="beach.jpg")
    expect(row.get_by_role("link", name="See its road")).to_be_visible()
    assert row.get_by_role("button").count() == 0
    assert look(f"/drops/{drop['drop_id']}").get_by_role("button", name="Replay").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation_among_dead_letters(look: Look, bury: Bury, scheme: str) -> None:
    bury("poison", an_envelope(DropRouted(drop=a_drop())))
    page = look("/attention", color_scheme=scheme)
    expect(letters(page)).to_have_count(2)
    assert not violations(page)


def test_dead_letters_never_scroll_sideways_on_a_phone(look: Look, bury: Bury) -> None:
    bury("x" * 300, an_envelope(DropRouted(drop=a_drop(f"dev/append/users/{'y' * 150}.csv"))))
    page = look("/attention", viewport=PHONE)
    expect(letters(page)).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
