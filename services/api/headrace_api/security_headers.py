"""Headers that keep answers from being misused by a browser, on every answer."""

from __future__ import annotations

from typing import Final

from headrace_api.asgi import App, Message, Receive, Scope, Send, set_headers

_ALWAYS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_UNLESS_SAID: Final = {
    # Of a document, nothing may be loaded or run: a page says itself what it needs.
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    # The page says `same-origin`: under this one its forms would come with the Origin `null`.
    "Referrer-Policy": "no-referrer",
}


class SecurityHeaders:
    """Adds them to the start of each answer.

    Args:
        cross_origin: pages of other origins are allowed in.
    """

    def __init__(self, app: App, *, cross_origin: bool) -> None:
        self._app = app
        policy = {"Cross-Origin-Resource-Policy": "cross-origin"} if cross_origin else {}
        self._always = _ALWAYS | policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                said = {name.lower() for name, _ in message.get("headers", ())}
                missing = {
                    name: text
                    for name, text in _UNLESS_SAID.items()
                    if name.lower().encode() not in said
                }
                set_headers(message, self._always | missing)
            await send(message)

        await self._app(scope, receive, sent)
