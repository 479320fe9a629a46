"""Rooms, and who may be in them: `user/{ref}`, `encounter/{id}`, `subscription/{id}`, `emergency` and `staff`.

Within `encounter/1` each user has a room "encounter/1 Practitioner/7", so that a call's signals find them. The right to
a room is checked when it is entered and again at every event under the principal of that moment: a lookup only when
the token's rights were made anew since.
"""

from __future__ import annotations

from pymongo.errors import PyMongoError

from fhir_server.access import Principal
from fhir_server.access.principal import SYSTEM
from fhir_server.outcomes import FhirError
from fhir_server.storage.repository import Repository
from realtime.manager import Relay
from realtime.presence import Presence
from realtime.socket import Socket, Sockets, is_responder, is_staff

EMERGENCY, STAFF = "emergency", "staff"


class Rooms:
    """The rooms of this process's sockets."""

    def __init__(self, repository: Repository, sockets: Sockets, relay: Relay, presence: Presence) -> None:
        self._repository = repository
        self._sockets = sockets
        self._relay = relay
        self._presence = presence

    async def allows(self, principal: Principal, room: str) -> bool:
        """Whether the principal may be in the room."""
        kind, _, rest = room.partition("/")
        match kind:
            case "encounter":
                found = await self._repository.read(principal, "Encounter", rest)
                return found is not None and not found.deleted
            case "user":
                return principal.user == rest
            case "emergency":
                return is_responder(principal)
            case "staff":
                return is_staff(principal)
        return kind == "subscription"  # entered by realtime.streams only, which looks at each event's rights

    async def enter(self, socket: Socket, room: str, principal: Principal) -> None:
        """Be in a room that the principal was just found to be allowed in."""
        socket.rooms[room] = principal
        await self._relay.enter_room(socket.sid, socket.namespace, room)

    async def join(self, socket: Socket, room: str, principal: Principal, role: str = "") -> list[dict[str, str]]:
        """Be in a room whose others are told; answers who is there, oneself included: {u: user, s: socket, r: role}."""
        entry = {"u": socket.user, "s": socket.sid, "r": role}
        place = f"{socket.namespace} {room}"
        if room in socket.rooms:
            return await self._presence.at(place)
        await self.enter(socket, room, principal)
        await self._relay.enter_room(socket.sid, socket.namespace, f"{room} {socket.user}")
        before = await self._presence.enter(place, entry)
        return [*before, entry]

    async def leave(self, socket: Socket, room: str) -> bool:
        """Be in the room no longer; whether the socket was."""
        if socket.rooms.pop(room, socket) is socket:
            return False
        await self._relay.leave_room(socket.sid, socket.namespace, room)
        if room.startswith("encounter/"):
            await self._relay.leave_room(socket.sid, socket.namespace, f"{room} {socket.user}")
            await self._gone(socket, room)
        return True

    async def close(self, socket: Socket) -> None:
        """The socket is gone."""
        rooms = list(socket.rooms)
        socket.rooms.clear()
        for room in rooms:
            if room.startswith("encounter/"):
                await self._gone(socket, room)

    async def may_hear(self, socket: Socket, room: str) -> bool:
        """Whether the socket may be told, at this moment, what happens in the room; if not, it is in it no longer."""
        base = room.partition(" ")[0]
        if base not in socket.rooms:
            return False
        try:
            principal = await self._sockets.principal(socket)
            if principal is None:
                return False  # it will be disconnected
            if socket.rooms.get(base) is principal:
                return True
            if await self.allows(principal, base):
                if base in socket.rooms:
                    socket.rooms[base] = principal
                return base in socket.rooms
        except (FhirError, PyMongoError):
            return False  # nobody can tell at the moment
        await self.leave(socket, base)
        return False

    def forget(self, room: str) -> None:
        """What was known of the right to the room counts no longer: the resource has changed."""
        for socket in self._sockets:
            if room in socket.rooms:
                socket.rooms[room] = None

    async def _gone(self, socket: Socket, room: str) -> None:
        place = f"{socket.namespace} {room}"
        for entry in await self._presence.at(place):
            if entry.get("s") == socket.sid:
                await self._presence.leave(place, entry)


async def exists(repository: Repository, type_: str, id_: str) -> bool:
    """Whether there is such a resource, whoever may see it."""
    found = await repository.read(SYSTEM, type_, id_)
    return found is not None and not found.deleted
