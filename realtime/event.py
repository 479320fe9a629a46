"""What a socket may send, and what it is sent when a resource changes: declared where it is handled (events/).

A file in events/ with `@event("case:join")` on a function serves that event; `@live(...)` tells what changes of a
resource type lead to which event in which rooms.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from fhir_server.access import Principal
from fhir_server.change import Change
from fhir_server.outcomes import Forbidden, Invalid
from realtime.hub import Hub
from realtime.limits import ASK, Limit
from realtime.socket import Socket

Json = dict[str, Any]
ROOT, CONSULTATION = "/", "/consultation"
NAMESPACES = (ROOT, CONSULTATION)
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")


@dataclass(frozen=True, slots=True)
class Call:
    """One event that a socket sent: who it is from with the rights of now, and what came with it."""

    hub: Hub
    socket: Socket
    principal: Principal
    data: Any

    def get(self, name: str) -> Any:
        """A member of the payload, which is a JSON object; None when it is not there."""
        return self.data.get(name) if isinstance(self.data, dict) else None

    def text(self, name: str, *, most: int = 10_000) -> str:
        """A member that is text. Raises Invalid (400) when it is not, is empty or too long."""
        value = self.get(name)
        if not isinstance(value, str) or not value.strip() or len(value) > most:
            raise Invalid(f"{name} must be a text of 1 to {most} characters.")
        return value

    def id(self, name: str) -> str:
        """A member that is a resource's id; the payload may also be the id itself. Raises Invalid (400)."""
        value = self.data if isinstance(self.data, str) else self.get(name)
        if not isinstance(value, str) or not _ID.fullmatch(value):
            raise Invalid(f"{name} must be the id of a resource.")
        return value

    def sender(self) -> Json | None:
        """The reference to the user, from the token; None in open mode. Raises Forbidden (403) for a service."""
        if self.principal.is_open:
            return None
        if "/" not in self.principal.user:
            raise Forbidden("This is for people who are a resource here.")
        return {"reference": self.principal.user}

    def room(self, name: str) -> str:
        """The room of the Encounter that a member names. Raises Forbidden (403) when the socket is not in it."""
        room = f"encounter/{self.id(name)}"
        if room not in self.socket.rooms:
            raise Forbidden("Join the room first.")
        return room


Handler = Callable[[Call], Awaitable[Json | None]]
Rooms = Callable[[Change, Json], Iterable[str]]
Shape = Callable[[Hub, Json], Awaitable[Json]]


@dataclass(frozen=True, slots=True)
class Event:
    """An event that clients may send."""

    name: str
    namespace: str
    limit: Limit
    handler: Handler


@dataclass(frozen=True, slots=True)
class Live:
    """An event that follows from a change of a resource: the rooms it goes to, and what it says."""

    name: str
    namespace: str
    type: str
    rooms: Rooms
    shape: Shape


events: dict[tuple[str, str], Event] = {}  # by namespace and name
lives: dict[tuple[str, str], Live] = {}


def event(name: str, *, limit: Limit = ASK, namespace: str = ROOT) -> Callable[[Handler], Handler]:
    """Declare what an event of this name does. What the function answers is the acknowledgement, beside {ok: true}.

    A FhirError that it raises is acknowledged as {ok: false, outcome: OperationOutcome}.
    """

    def declare(handler: Handler) -> Handler:
        events[namespace, name] = Event(name, namespace, limit, handler)
        return handler

    return declare


def live(name: str, type_: str, rooms: Rooms, *, namespace: str = ROOT) -> Callable[[Shape], Shape]:
    """Declare what a socket is told of a resource of the type, in the rooms that a change of it concerns.

    The function makes the payload. Nobody is told who may not read that version of the resource.
    """

    def declare(shape: Shape) -> Shape:
        lives[namespace, name] = Live(name, namespace, type_, rooms, shape)
        return shape

    return declare
