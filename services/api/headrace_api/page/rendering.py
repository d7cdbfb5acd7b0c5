"""Views as HTML answers, and errors as sentences."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from typing import Any, Final
from urllib.parse import quote

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.routing import APIRoute
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from headrace_api import problems
from headrace_api.page.sign_in_cookie import is_signed_in
from headrace_api.problems import ApiError
from headrace_shared.errors import TransientError
from headrace_shared.logging import get_logger

_log = get_logger(__name__)

SIGN_IN: Final = "/sign-in"

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    # What a caller may see is theirs: neither a proxy nor the next one at this screen keeps it.
    "Cache-Control": "no-store",
}

_PART_ENDS: Final = re.compile(r"([._/-])(?=\w)")

_templates: Final = Environment(
    loader=PackageLoader("headrace_api.page"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=StrictUndefined,
)


def _sentence(text: str) -> Markup:
    """A sentence in which what stands between backticks is code; all of it is escaped."""
    parts = [escape(part) for part in text.split("`")]
    if len(parts) % 2 == 0:
        return escape(text)
    marked = [
        Markup("<code>{}</code>").format(part) if place % 2 else part
        for place, part in enumerate(parts)
    ]
    return Markup("").join(marked)


def _name(text: str) -> Markup:
    """A name that is broken, where it is too long for its place, between its parts; escaped."""
    return Markup(_PART_ENDS.sub(r"\1<wbr>", str(escape(text))))  # noqa: S704 - escaped


_templates.filters |= {"sentence": _sentence, "name": _name}


def rendered(template: str, **shown: Any) -> str:
    """A fragment of a view; every value in it is escaped."""
    return _templates.get_template(template).render(shown)


def view(request: Request, template: str, *, status: int = 200, **shown: Any) -> HTMLResponse:
    """A whole view."""
    text = rendered(template, path=request.url.path, is_signed_in=is_signed_in(request), **shown)
    return HTMLResponse(text, status_code=status, headers=HEADERS)


class PageRoute(APIRoute):
    """A route whose errors are shown to people."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """As the framework's, with errors as sentences."""
        answer = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                return await answer(request)
            except ApiError as error:
                return _told(request, error)
            except RequestValidationError:
                return _told(request, problems.not_found("There is nothing at this address."))
            except TransientError as error:
                _log.warning("request.unanswerable", error=str(error))
                return _told(request, problems.unavailable(problems.unreachable(str(error))))

        return answered


def _told(request: Request, error: ApiError) -> Response:
    problem = error.problem
    if "hx-request" in request.headers:
        # It goes into a view that is there already.
        text = rendered("_trouble.html", problem=problem)
        return HTMLResponse(text, status_code=problem.status, headers=HEADERS)
    if problem.status == 401 and request.method == "GET":
        asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"{SIGN_IN}?next={quote(asked, safe='')}", 303, HEADERS)
    response = view(request, "error.html", status=problem.status, problem=problem)
    if problem.status == 503:
        seconds = str(problems.RETRY_SECONDS)
        response.headers["Retry-After"] = seconds
        if request.method == "GET":
            # The browser asks again by itself, also without scripts, until the view is there.
            response.headers["Refresh"] = seconds
    return response
