"""The websocket of subscriptions: `/websocket`, one connection for as many subscriptions as a client has.

R4's form: `bind <id>` is answered with `bound <id>`, and from then on each event is a `ping <id>`.
https://hl7.org/fhir/R4/subscription.html#2.46.7.2
The backport guide's: `bind-with-token <token>` is answered with a handshake for each subscription of the token, and
from then on each event is a notification Bundle, with heartbeats where they are asked for.
https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/channels.html#websockets

Who wants R4's form signs in: with the Authorization header, or where a browser cannot send one, with a first message
`auth <access token>`, which is answered with `authenticated`; again, with a newer token, before the old one expires. A
token in the URL would end up in logs. `unbind <id>` is answered with `unbound <id>`, and what cannot be done with
`error <HTTP status> <sentence>`.

Nothing waits here for a slow client: events stay in the database until it has taken the one before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, MutableMapping
from typing import Any

from fhir_server.outcomes import FhirError
from fhir_server.rest.base_url import BaseUrls
from subscriptions.connection import POLICY, RESTART, Receive, Send, Served, Socket

Scope = MutableMapping[str, Any]

PATH = "/websocket"
MAX_STRANGERS = 1000  # sockets of nobody known yet, in one process
MAX_FROM_ADDRESS = 100  # of these, from one network address: nobody keeps out everybody else


class Sockets:
    """The ASGI application; to be mounted at PATH."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.callers: Counter[tuple[str, str]] = Counter()
        self.open: set[Socket] = set()
        self._base_urls = BaseUrls(served.settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            return
        await receive()
        headers = dict(scope["headers"])
        address, software = self._base_urls.caller(scope, headers), headers.get(b"user-agent", b"").decode("latin-1")
        strangers = [one.address for one in self.open if one.caller is None]
        full = len(strangers) >= MAX_STRANGERS or strangers.count(address) >= MAX_FROM_ADDRESS
        if full or not self._may_connect(scope, headers):
            await send({"type": "websocket.close", "code": POLICY})  # which answers 403
            return
        socket = Socket(self.served, self.callers, receive, send, address, software)
        self.open.add(socket)
        try:
            await send({"type": "websocket.accept"})
            await socket.serve(headers.get(b"authorization"))
        except OSError:
            pass  # it is gone
        finally:
            self.open.discard(socket)
            socket.leave()

    async def stop(self) -> None:
        """Tell every client to come back later."""
        for one in self.open:
            one.close(RESTART, "The server stops.")

    def _may_connect(self, scope: Scope, headers: Mapping[bytes, bytes]) -> bool:
        """A page of another origin may not, unless it is allowed: browsers let any page open a websocket."""
        if scope["path"] != PATH:
            return False
        try:
            base_url = self._base_urls.of(scope, headers)
        except FhirError:
            return False
        origin = headers.get(b"origin")
        if origin is None or origin in self.served.origins:
            return True
        host = origin.partition(b"://")[2]
        return host == headers.get(b"host") or host.decode("latin-1") == base_url.split("/")[2]
