"""The discussion of a case: joining and leaving its room, messages, and who is typing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fhir_server.change import Change
from realtime.event import Call, event, live
from realtime.events._messages import encounter_id, is_message, sender, text, write
from realtime.hub import Hub
from realtime.limits import SIGN, TALK

Json = dict[str, Any]


@event("case:join")
async def join(call: Call) -> Json:
    """caseId, or {caseId}: enter the room of an Encounter that the caller may read; answers who is there."""
    id_ = call.id("caseId")
    await call.hub.read(call.socket, call.principal, "Encounter", id_)
    there = await call.hub.rooms.join(call.socket, f"encounter/{id_}", call.principal)
    return {"caseId": id_, "users": list(dict.fromkeys(one["u"] for one in there))}


@event("case:leave")
async def leave(call: Call) -> Json:
    """caseId, or {caseId}: leave the room."""
    id_ = call.id("caseId")
    await call.hub.rooms.leave(call.socket, f"encounter/{id_}")
    return {"caseId": id_}


@event("case:message", limit=TALK)
async def message(call: Call) -> Json:
    """{caseId, message}: store a message; the room hears of it once it is committed. The sender is the token's user."""
    said = call.text("message")
    encounter = await call.hub.read(call.socket, call.principal, "Encounter", call.id("caseId"))
    return {"id": await write(call, encounter, said, "discussion")}


@event("case:typing", limit=SIGN)
async def typing(call: Call) -> None:
    """{caseId, isTyping}: tell the others in the room."""
    room = call.room("caseId")
    told = {"caseId": call.id("caseId"), "userId": call.socket.user, "isTyping": call.get("isTyping") is True}
    await call.hub.tell("case:typing", told, room, skip=call.socket.sid)


def rooms(change: Change, communication: Json) -> Iterable[str]:
    """The case's room, when something was said, or taken back."""
    id_ = encounter_id(communication)
    is_sent = change.interaction == "create" and communication.get("status") != "not-done"
    news = is_sent or communication.get("status") == "entered-in-error"
    return [f"encounter/{id_}"] if id_ and news and is_message(communication) else []


@live("case:message", "Communication", rooms)
async def said(hub: Hub, communication: Json) -> Json:
    """{caseId, id, message, sender, senderName, timestamp, status}."""
    reference, name = sender(communication)
    return {
        "caseId": encounter_id(communication),
        "id": communication["id"],
        "message": text(communication),
        "sender": reference,
        "senderName": name,
        "timestamp": communication.get("sent") or communication["meta"]["lastUpdated"],
        "status": communication["status"],
    }
