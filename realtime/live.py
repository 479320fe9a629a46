"""From a committed change, by whichever door it came, to what the sockets of a room are told.

One process hears of the change and passes on only which version it was. Each process reads that version and tells it
to those of its sockets that may see it, which the audit trail learns first.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from pymongo.errors import PyMongoError

from fhir_server import json
from fhir_server.access.principal import SYSTEM
from fhir_server.access.visibility import condition
from fhir_server.audit.entry import Entry, now, patients_in
from fhir_server.change import Change
from fhir_server.encryption.words import without_words
from fhir_server.outcomes import FhirError
from fhir_server.storage.stored import Stored
from realtime.event import NAMESPACES, lives
from realtime.event import Live as LiveEvent
from realtime.hub import Hub
from realtime.socket import Socket

Json = dict[str, Any]
RESOURCE, FORGET = "@resource", "@forget"  # names that no client can hear or send
_REMEMBERED = 4096  # notices told lately: a change may be passed on twice


class Live:
    """The listener of changes, and what decides in each process who hears what."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._lately: OrderedDict[tuple[str, ...], None] = OrderedDict()

    @property
    def types(self) -> set[str]:
        """The resource types whose changes matter."""
        return {one.type for one in lives.values()} | {"Encounter"}

    async def changed(self, change: Change) -> None:
        """Pass on what a change of one of the types means, in the process that follows the changes."""
        if change.type == "Encounter":
            for namespace in NAMESPACES:
                await self._hub.tell(FORGET, {}, f"encounter/{change.id}", namespace=namespace)
        if change.after.deleted:
            return
        resource = change.after.resource()
        for (namespace, name), one in lives.items():
            if one.type == change.type:
                notice = {"event": name, "type": change.type, "id": change.id, "version": change.version}
                for room in one.rooms(change, resource):
                    await self._hub.tell(RESOURCE, notice, room, namespace=namespace)

    async def deliver(self, message: Json) -> None:
        """Tell an event to the sockets of this process that are in its room and may hear it."""
        namespace, room = message["namespace"], message["room"]
        found = (self._hub.sockets.get(sid) for sid in self._hub.relay.members(namespace, room))
        sockets = [one for one in found if one is not None and one.sid != message.get("skip_sid")]
        event, data = message["event"], message["data"][0]
        if event == FORGET:
            self._hub.rooms.forget(room)
            for socket in sockets:
                await self._hub.rooms.may_hear(socket, room)
            return
        hearers = [one for one in sockets if await self._hub.rooms.may_hear(one, room)]
        if not hearers:
            return
        if event == RESOURCE:
            await self._show(data, namespace, room, hearers)
        else:
            await self._hub.relay.send(event, data, namespace, [one.sid for one in hearers])

    async def _show(self, notice: Json, namespace: str, room: str, sockets: list[Socket]) -> None:
        live = lives.get((namespace, notice["event"]))
        if live is None or not self._is_new(namespace, room, notice):
            return
        stored = await self._hub.repository.history.vread(SYSTEM, notice["type"], notice["id"], notice["version"])
        if stored is None or stored.deleted:
            return
        known: dict[bytes, bool] = {}
        hearers = [one for one in sockets if await self._may_see(one, stored, known)]
        if not hearers:
            return
        payload = await _payload(live, self._hub, stored)
        await self._hub.record([_disclosed(one, stored) for one in hearers])
        # Once more: what was revoked meanwhile is not sent.
        sids = [one.sid for one in hearers if await self._may_see(one, stored, known)]
        await self._hub.relay.send(notice["event"], payload, namespace, sids)

    async def _may_see(self, socket: Socket, stored: Stored, known: dict[bytes, bool]) -> bool:
        """Whether the version is open to the socket at this moment; those who may see the same are asked about once."""
        try:
            principal = await self._hub.sockets.principal(socket)
            if principal is None:
                return False
            # One emergency is told to a whole ward, whose roles come to a handful of conditions.
            allowed = json.encode(condition(principal, stored.type, "r"))
            if allowed not in known:
                known[allowed] = await self._hub.repository.history.is_open(principal, stored, "r")
            return known[allowed]
        except (FhirError, PyMongoError):
            return False  # nobody can tell at the moment

    def _is_new(self, namespace: str, room: str, notice: Json) -> bool:
        key = (namespace, room, notice["event"], notice["type"], notice["id"], str(notice["version"]))
        if key in self._lately:
            return False
        self._lately[key] = None
        if len(self._lately) > _REMEMBERED:
            self._lately.popitem(last=False)
        return True


async def _payload(live: LiveEvent, hub: Hub, stored: Stored) -> Json:
    """What the event says; of something sensitive that it happened, and nothing of what people wrote in it."""
    if not stored.sealed:
        return await live.shape(hub, stored.resource())
    payload = await live.shape(hub, without_words(stored.resource()))
    return {**payload, **({"message": None} if "message" in payload else {}), "sensitive": True}


def _disclosed(socket: Socket, stored: Stored) -> Entry:
    """The entry of a resource that a socket was told."""
    return Entry(
        now(),
        "vread",
        "R",
        200,
        socket.agent,
        type=stored.type,
        id=stored.id,
        version=str(stored.version),
        patients=patients_in(stored.text),
        purpose=socket.principal.purpose,
    )
