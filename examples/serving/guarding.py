"""What stands before every answer: who may ask, and what a browser may make of what it gets."""

from __future__ import annotations

import re
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HERE = ("127.0.0.1", "localhost", "[::1]")
"""Names of this machine, by which its own browser asks."""
HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]@/\\\s]+)(?::(\d{1,5}))?", re.A)
HTTP_PORT = 80
"""Of a name without one."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Of everything: the page has its script and its style from here, and nothing else runs."""
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


class Guard:
    """Refuses requests for another host (a name that was made to point here) and from pages of another origin.

    Args:
        app: the application.
        hosts: the names by which it is asked, in small letters.
        port: and the port, if only one is right.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] = HERE, port: int | None = None) -> None:
        self._app, self._hosts, self._port = app, frozenset(hosts), port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        wrong: tuple[int, str] | None = (403, "only HTTP is spoken here")
        if scope["type"] == "http":
            wrong = self._wrong(scope["method"], Headers(scope=scope))
        if wrong:
            await PlainTextResponse(wrong[1], wrong[0])(scope, receive, with_headers)
        else:
            await self._app(scope, receive, with_headers)

    def _wrong(self, method: str, headers: Headers) -> tuple[int, str] | None:
        """Why a request is refused, as the answer's status and text."""
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        host = HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if host is None or host[1].lower() not in self._hosts or self._port not in (None, int(host[2] or HTTP_PORT)):
            return 421, "this server answers by its own name only"
        if origins and origins not in ([f"http://{hosts[0]}"], [f"https://{hosts[0]}"]):
            return 403, "requests of other pages are refused"
        sites = headers.getlist("sec-fetch-site")
        if method not in ("GET", "HEAD") and not {"none", "same-origin"}.issuperset(sites):
            return 403, "requests of other pages are refused"
        return None
