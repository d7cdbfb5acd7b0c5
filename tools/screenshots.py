"""Makes the screenshots of the page in docs/images, from a real platform with a morning's drops.

`python -m tools.screenshots`; needs Chromium (`.ci/browser` installs it). The platform is started
for it and removed again.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Page, sync_playwright

from headrace_local.demo_data import TABLES, prepare
from headrace_local.platform import PlatformOptions
from headrace_shared.facts import DropRouted
from headrace_shared.testing.builders import a_drop, an_envelope
from tests.browser.chromium import ARGUMENTS, EXECUTABLE, sign_in
from tests.running_platform import RunningPlatform, eventually, running

ROOT: Final = Path(__file__).resolve().parent.parent
FOLDER: Final = ROOT / "docs" / "images"
MOST_BYTES: Final = 150_000

_SIZE: Final[Any] = {"width": 1100, "height": 620}
_ORDERS: Final = {
    "columns": [
        {"name": "order_id", "type": "bigint", "nullable": False},
        {"name": "customer", "type": "text"},
        {"name": "cents", "type": "integer"},
    ],
    "on_bad_rows": {"mode": "quarantine"},
    "tests": [{"not_null": "customer"}],
}
_BATCHES: Final = (900, 1_400, 1_100, 2_300, 1_900, 4_200, 3_100, 3_600, 1_200, 2_600, 5_200, 4_100)


def main() -> None:
    """Starts a platform, drops, and takes the pictures.

    Raises:
        SystemExit: a picture is larger than a README should carry.
    """
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name, running(_options(Path(name))) as platform:
        rejected = stage(platform, Path(name))
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=EXECUTABLE, args=ARGUMENTS)
            context = browser.new_context(viewport=_SIZE, color_scheme="light")
            sign_in(context, platform.stack)
            page = context.new_page()
            for picture, path, height in _views(rejected):
                _take(page, f"{platform.stack.api_url}{path}", FOLDER / f"{picture}.png", height)
            browser.close()
    large = [one.name for one in FOLDER.glob("page-*.png") if one.stat().st_size > MOST_BYTES]
    if large:
        sys.exit(f"larger than {MOST_BYTES:,} bytes: {', '.join(large)}")


def stage(platform: RunningPlatform, folder: Path) -> str:
    """Drops what a morning brings; returns the drop id of the rejected one."""
    files = prepare(folder / "files")
    small = [table for table in TABLES if table != "flights"]
    for table in small:
        _land(platform, f"nyc/schema/{table}/contract.json", files.contracts[table].read_bytes())
    _land(platform, "sales/schema/orders/contract.json", json.dumps(_ORDERS).encode())
    for table in small:
        _land(platform, f"nyc/append/{table}/{table}.csv", files.tables[table].read_bytes())
    for number, rows in enumerate(_BATCHES):
        _land(platform, f"sales/append/orders/2026-11-{number + 9:02d}.csv", _orders(rows, number))
    wider = {**_ORDERS, "columns": [*_columns(), {"name": "coupon", "type": "text"}]}
    _land(platform, "sales/schema/orders/contract.json", json.dumps(wider).encode())
    corrected = files.airlines_corrected.read_bytes()
    _land(platform, "nyc/truncate/airlines/airlines_corrected.csv", corrected)
    platform.land("my holidays/beach.jpg", files.photo.read_bytes())
    _land(platform, "nyc/append/holidays/holidays.csv", files.holidays.read_bytes(), "waiting")
    mistakes = files.airports_with_mistakes.read_bytes()
    key = "nyc/append/airports/airports_with_mistakes.csv"
    late = a_drop("nyc/append/weather/weather-february.csv")
    for body in (an_envelope(DropRouted(drop=late)), '{"detail-type": "Object Created"'):
        queue = platform.stack.dead_letter_queues["loader"]
        platform.sqs.send_message(QueueUrl=queue, MessageBody=body)
    return str(_land(platform, key, mistakes, "rejected")["drop_id"])


def _options(folder: Path) -> PlatformOptions:
    return PlatformOptions(data_dir=folder / "headrace", ephemeral=True)


def _views(rejected: str) -> Iterator[tuple[str, str, int]]:
    yield "page-now", "/", 620
    yield "page-tables", "/tables", 430
    yield "page-drop", f"/drops/{rejected}", 610
    yield "page-attention", "/attention", 870
    yield "page-table", "/tables/sales/orders", 620


def _take(page: Page, url: str, path: Path, height: int) -> None:
    page.goto(url)
    page.wait_for_load_state("load")
    if page.locator("#link").count():
        page.locator("#link[data-state=live]").wait_for()
    if page.locator("#dead-letters").count():
        page.locator("#dead-letters table").wait_for()
    page.set_viewport_size({"width": _SIZE["width"], "height": height})
    page.screenshot(path=path)


def _land(
    platform: RunningPlatform, key: str, body: bytes, state: str = "loaded"
) -> dict[str, Any]:
    newest = (platform.drop(key) or {}).get("drop_id")
    platform.land(key, body)

    def there() -> dict[str, Any] | None:
        drop = platform.drop(key)
        is_new = drop is not None and drop["drop_id"] != newest
        return drop if is_new and drop is not None and drop["state"] == state else None

    return eventually(there, f"{key} is {state}")


def _columns() -> list[Any]:
    return [*_ORDERS["columns"]]


def _orders(rows: int, number: int) -> bytes:
    lines = ["order_id,customer,cents"]
    lines += [
        f"{number * 10_000 + row},customer {row % 97},{row * 37 % 9_000}" for row in range(rows)
    ]
    if number % 5 == 3:
        lines[40] = f"{number * 10_000 + 39},customer 39,forty euros"
        lines[77] = f"{number * 10_000 + 76},customer 76,12.50"
    return "\n".join(lines).encode()


if __name__ == "__main__":
    main()
