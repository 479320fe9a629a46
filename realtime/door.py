"""Before Socket.IO sees a request: whose page it comes from, and what strangers could use to get around that."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Container, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from fhir_server.outcomes import FhirError
from fhir_server.rest.base_url import BaseUrls
from fhir_server.rest.head import joined

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Door:
    """An ASGI application around Socket.IO's.

    A page may connect from the server's own origin and from those in `origins`. A WebSocket of another page is let in
    to be told so (`is_welcome` at connect); its HTTP requests are refused, and so is JSONP, which has no origin.
    """

    def __init__(self, app: App, base_urls: BaseUrls, origins: Container[bytes]) -> None:
        self._app = app
        self._base_urls = base_urls
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self.is_welcome(scope) or "j" in parse_qs(scope["query_string"].decode("latin-1")):
            await send({"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]})
            await send({"type": "http.response.body", "body": b"Pages of this origin may not connect."})
            return
        origin = joined(scope["headers"]).get(b"origin")

        async def allowing(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start" and origin is not None:
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"access-control-allow-origin", origin),
                    (b"vary", b"origin"),
                ]
            await send(message)

        await self._app(scope, receive, allowing)

    def is_welcome(self, scope: Scope) -> bool:
        """Whether the page that a request comes from may connect; what is no page may."""
        headers = joined(scope["headers"])
        origin = headers.get(b"origin")
        try:
            host = self.base_url(scope).split("/")[2]
        except FhirError:
            return False
        if origin is None or origin in self._origins:
            return True
        return origin.partition(b"://")[2] in (host.encode("latin-1"), headers.get(b"host"))

    def base_url(self, scope: Scope) -> str:
        """The FHIR base URL as the caller sees it. Raises FhirError for a host that is not ours."""
        scheme = {"ws": "http", "wss": "https"}.get(scope["scheme"], scope["scheme"])
        return self._base_urls.of({**scope, "scheme": scheme}, joined(scope["headers"]))

    def caller(self, scope: Scope) -> str:
        """The caller's network address."""
        return self._base_urls.caller(scope, joined(scope["headers"]))
