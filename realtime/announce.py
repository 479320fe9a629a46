"""What others are told when somebody comes or goes: docs/realtime.md says who is told of whom."""

from __future__ import annotations

from typing import Any

from realtime.event import CONSULTATION, ROOT
from realtime.hub import Hub
from realtime.rooms import STAFF

Json = dict[str, Any]


class Announcements:
    """The callbacks of Presence. A place is "user Practitioner/7", or a namespace and a room."""

    def __init__(self) -> None:
        self.hub: Hub  # set once there is one

    async def joined(self, place: str, entry: Json, before: list[Json]) -> None:
        """Somebody came."""
        kind, _, name = place.partition(" ")
        if kind == "user":
            if not before:
                await self.hub.tell("user:online", {"userId": name}, STAFF)
        elif kind == ROOT:
            told = {"caseId": _id(name), "userId": entry["u"]}
            await self.hub.tell("case:join", told, name, skip=entry["s"])
        elif kind == CONSULTATION:
            await self.hub.tell("user-joined", person(name, entry), name, namespace=CONSULTATION, skip=entry["s"])

    async def left(self, place: str, entry: Json, rest: list[Json]) -> None:
        """Somebody went, or the process that they were connected to is gone."""
        kind, _, name = place.partition(" ")
        if kind == "user":
            if not rest:
                await self.hub.tell("user:offline", {"userId": name}, STAFF)
            return
        if any(one.get("u") == entry["u"] for one in rest):
            return  # another socket of the same user is still there
        if kind == ROOT:
            # Clients that know of no case:leave would show somebody typing for ever.
            silent = {"caseId": _id(name), "userId": entry["u"], "isTyping": False}
            await self.hub.tell("case:typing", silent, name, skip=entry["s"])
            await self.hub.tell("case:leave", {"caseId": _id(name), "userId": entry["u"]}, name, skip=entry["s"])
        elif kind == CONSULTATION:
            told = {"roomId": _id(name), "userId": entry["u"], "socketId": entry["s"]}
            await self.hub.tell("user-left", told, name, namespace=CONSULTATION, skip=entry["s"])


def person(room: str, entry: Json) -> Json:
    """A participant of a call, as others are told."""
    return {"roomId": _id(room), "userId": entry["u"], "socketId": entry["s"], "role": entry["r"]}


def _id(room: str) -> str:
    return room.partition("/")[2]
