"""The page that people keep open: server-rendered views of drops and tables, at `/`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles

from headrace_api.page.attention import attention
from headrace_api.page.live import live
from headrace_api.page.sign_in import SignedIn, sign_in
from headrace_api.page.views import views

_HERE: Final = Path(__file__).parent


class _Kept(StaticFiles):
    """Files that a browser keeps, and asks each time whether they are still the same."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """As the framework's, with that said."""
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


def add_page(app: FastAPI) -> None:
    """Adds the views, what they load, and the sign-in by cookie that also serves `/v1`."""
    app.mount("/assets", _Kept(directory=_HERE / "assets"), name="assets")
    app.mount("/vendor", _Kept(directory=_HERE / "vendor"), name="vendor")
    for router in (views, attention, live, sign_in):
        app.include_router(router, include_in_schema=False)
    app.add_middleware(SignedIn)
