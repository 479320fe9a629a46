"""What event handlers work with: the rooms, the people, and the one way to resources."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_server import json
from fhir_server.access import Principal
from fhir_server.access.principal import SYSTEM
from fhir_server.audit.entry import Entry
from fhir_server.config import Settings
from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.outcomes import Unprocessable
from fhir_server.storage.repository import Repository
from realtime.manager import Relay
from realtime.presence import Online, Presence
from realtime.rooms import Rooms
from realtime.socket import Socket, Sockets
from realtime.streams import Streams

Json = dict[str, Any]
MakeContext = Callable[[str, str, Principal], Context]  # base URL, request id, who asks
Dispatch = Callable[[Context, FhirRequest], Awaitable[FhirResponse]]


@dataclass(slots=True)
class Hub:
    """The parts of real-time in one process."""

    settings: Settings
    repository: Repository
    sockets: Sockets
    relay: Relay
    presence: Presence
    online: Online
    rooms: Rooms
    streams: Streams
    make_context: MakeContext
    dispatch: Dispatch

    async def tell(self, event: str, data: Json, room: str, *, namespace: str = "/", skip: str = "") -> None:
        """Tell everybody in the room, in all processes, who may hear it; `skip` is a socket's id."""
        await self.relay.emit(event, data, namespace=namespace, room=room, skip_sid=skip or None)

    async def ask(self, socket: Socket, principal: Principal, request: FhirRequest) -> FhirResponse:
        """An interaction as the socket's caller, by the same way as over HTTP, audit included. Raises FhirError."""
        ctx = self.make_context(socket.base_url, secrets.token_hex(8), principal)
        ctx.agent = socket.agent
        try:
            return await self.dispatch(ctx, request)
        finally:
            if ctx.notes:
                await self.record(ctx.notes)

    async def read(self, socket: Socket, principal: Principal, type_: str, id_: str) -> Json:
        """A resource, as the caller reads it. Raises NotFound (404), Gone (410) and Forbidden (403)."""
        response = await self.ask(socket, principal, FhirRequest("GET", f"{type_}/{id_}"))
        resource: Json = json.decode(response.text or b"{}")
        return resource

    async def create(self, socket: Socket, principal: Principal, resource: Json) -> str:
        """Store a new resource as the caller; answers its "Type/id"."""
        type_ = resource["resourceType"]
        request = FhirRequest("POST", type_, body=resource, content_type="application/fhir+json")
        response = await self.ask(socket, principal, request)
        if response.location is None:
            raise Unprocessable(f"The {type_} was not stored.")
        return response.location.partition("/_history/")[0]

    async def record(self, entries: Sequence[Entry]) -> None:
        """Return once the audit trail has the entries. Raises Unavailable (503)."""
        trail = self.make_context("", "", SYSTEM).state.get("trail")
        if trail is not None:
            await trail.record(entries)
