"""The browser: whether it is there, and how it is started."""

from __future__ import annotations

import os
import shutil
from typing import Final

import pytest
from playwright.sync_api import BrowserContext

from headrace_api.page.sign_in_cookie import COOKIE
from headrace_local.stack import Stack

EXECUTABLE: Final = os.environ.get("HEADRACE_TEST_CHROMIUM") or shutil.which("chromium") or ""
ARGUMENTS: Final = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def need_chromium() -> None:
    """Returns where the browser can be started; else skips, and in CI fails."""
    if EXECUTABLE:
        return
    told = "The command chromium is missing; .ci/browser installs it."
    if os.environ.get("CI"):
        pytest.fail(told, pytrace=False)
    pytest.skip(told)


def sign_in(context: BrowserContext, stack: Stack, key: str | None = None) -> None:
    """As if a key, the platform's own unless said otherwise, had been told to that browser."""
    context.add_cookies(
        [
            {
                "name": COOKIE,
                "value": key or stack.api_key,
                "url": stack.api_url,
                "httpOnly": True,
                "sameSite": "Strict",
            }
        ]
    )
