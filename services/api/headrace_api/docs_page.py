"""`/docs`: a page of our own, since the usual ones load their scripts from the internet."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from importlib.resources import files
from typing import Final

from fastapi.responses import HTMLResponse

_INLINE: Final = re.compile(r"<(script|style)>(.*?)</\1>", re.DOTALL)


async def docs() -> HTMLResponse:
    """Describes and tries every operation; itself it shows nothing that a key would guard."""
    text = _text()
    return HTMLResponse(text, headers={"Content-Security-Policy": _policy(text)})


@cache
def _text() -> str:
    return files("headrace_api").joinpath("docs.html").read_text("utf-8")


@cache
def _policy(text: str) -> str:
    """Only what stands in the page is run, by its digest, and it asks nobody but this server."""
    allowed = " ".join(
        f"{kind}-src '{_digest(content)}';" for kind, content in _INLINE.findall(text)
    )
    return f"default-src 'none'; {allowed} connect-src 'self'; frame-ancestors 'none'"


def _digest(content: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"
