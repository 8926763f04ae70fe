"""What stands before every route: keys, the size of requests, headers, and a line in the log."""

from __future__ import annotations

import base64
import binascii
import hmac
import time
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from latentry_server.errors import answer, plain
from latentry_server.logs import log
from latentry_server.metrics import Metrics

OPEN = ("/", "/health")
"""Paths that need no key; so do the page's own files."""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class _TooLarge(Exception):
    """More bytes came than are allowed."""


class Guards:
    """Refuses requests without a key or of too many bytes, and notes each answer.

    Args:
        app: answers the others.
        keys: see ``Settings``.
        body: the most bytes of a request.
        metrics: counts.
    """

    def __init__(self, app: ASGIApp, *, keys: Iterable[str], body: int, metrics: Metrics) -> None:
        self._app, self._keys, self._body, self._metrics = app, tuple(keys), body, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, told = time.monotonic(), {"status": 500}
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started, told["status"] = True, message["status"]
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        try:
            await self._answer(scope, receive, watched)
        except _TooLarge:
            if not started:
                await self._refuse(413, "large", f"More than {self._body:,} bytes were sent.", scope, receive, watched)
        finally:
            self._note(scope, told["status"], time.monotonic() - began)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        if not self._allowed(scope, headers):
            await self._refuse(401, "key", "A valid key is needed.", scope, receive, send)
            return
        announced = headers.get("content-length", "0")
        if announced.isdecimal() and int(announced[:20]) > self._body:
            await self._refuse(413, "large", f"{announced[:20]} bytes are more than are allowed.", scope, receive, send)
            return
        came = 0

        async def counted() -> Message:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            if came > self._body:
                raise _TooLarge
            return message

        await self._app(scope, counted, send)

    def _allowed(self, scope: Scope, headers: Headers) -> bool:
        path = scope["path"]
        if not self._keys or path in OPEN or path.startswith("/page/") or scope["method"] == "OPTIONS":
            return True
        given = _key(headers).encode()
        return sum(hmac.compare_digest(given, key.encode()) for key in self._keys) > 0  # all are compared

    async def _refuse(self, status: int, code: str, what: str, scope: Scope, receive: Receive, send: Send) -> None:
        challenge = {"WWW-Authenticate": "Bearer"} if status == 401 else None
        await answer(status, plain(code, what), challenge)(scope, receive, send)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "none")
        self._metrics.requests.labels(scope["method"], route, status).inc()
        if route != "/health":
            log("request", method=scope["method"], route=route, status=status, seconds=round(seconds, 3))


def _key(headers: Headers) -> str:
    """A bearer's token, the password of basic authentication, or ``X-API-Key``."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError, ValueError):
            return ""
    return headers.get("x-api-key", "")
