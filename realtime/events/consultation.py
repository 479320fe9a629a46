"""Calls, in the namespace /consultation: their rooms, WebRTC signals between those in a room, media and screens.

A room is an Encounter's (roomId is its id). Who somebody is comes from the token: userId, senderId and role in a
payload are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fhir_server.access import Principal
from fhir_server.change import Change
from fhir_server.outcomes import Invalid
from realtime.announce import person
from realtime.event import CONSULTATION, Call, event, live
from realtime.events._messages import encounter_id, is_message, sender, text, write
from realtime.hub import Hub
from realtime.limits import CALL, CANDIDATE, SIGN, TALK

Json = dict[str, Any]


@event("join-room", namespace=CONSULTATION)
async def join(call: Call) -> Json:
    """{roomId}: enter the room of an Encounter that the caller may read; room-joined says who is there."""
    id_ = call.id("roomId")
    room = f"encounter/{id_}"
    await call.hub.read(call.socket, call.principal, "Encounter", id_)
    there = await call.hub.rooms.join(call.socket, room, call.principal, _role(call.principal))
    told = {"roomId": id_, "participants": [person(room, one) for one in there]}
    await call.hub.relay.send("room-joined", told, CONSULTATION, [call.socket.sid])
    return told


@event("leave-room", namespace=CONSULTATION)
async def leave(call: Call) -> Json:
    """{roomId}: leave the room; the others hear user-left."""
    id_ = call.id("roomId")
    await call.hub.rooms.leave(call.socket, f"encounter/{id_}")
    return {"roomId": id_}


async def _signal(call: Call, name: str, member: str) -> None:
    """Relay one member of the payload to the sockets of a user, or to one of them, in the same room."""
    room, target = call.room("roomId"), call.text("targetUserId", most=200)
    if not isinstance(call.get(member), dict):
        raise Invalid(f"{member} must be an object.")
    told = {
        "roomId": call.id("roomId"),
        "fromUserId": call.socket.user,
        "fromSocketId": call.socket.sid,
        member: call.get(member),
    }
    await call.hub.tell(name, told, f"{room} {target}", namespace=CONSULTATION, skip=call.socket.sid)


@event("webrtc-offer", limit=CALL, namespace=CONSULTATION)
async def offer(call: Call) -> None:
    """{roomId, targetUserId, offer}."""
    await _signal(call, "webrtc-offer", "offer")


@event("webrtc-answer", limit=CALL, namespace=CONSULTATION)
async def answer(call: Call) -> None:
    """{roomId, targetUserId, answer}."""
    await _signal(call, "webrtc-answer", "answer")


@event("webrtc-ice-candidate", limit=CANDIDATE, namespace=CONSULTATION)
async def candidate(call: Call) -> None:
    """{roomId, targetUserId, candidate}."""
    await _signal(call, "webrtc-ice-candidate", "candidate")


async def _tell(call: Call, name: str, **more: Any) -> None:
    room = call.room("roomId")
    told = {"roomId": call.id("roomId"), "userId": call.socket.user, "socketId": call.socket.sid, **more}
    await call.hub.tell(name, told, room, namespace=CONSULTATION, skip=call.socket.sid)


@event("media-state-changed", limit=SIGN, namespace=CONSULTATION)
async def media(call: Call) -> None:
    """{roomId, mediaState}: the others hear user-media-changed."""
    if not isinstance(call.get("mediaState"), dict):
        raise Invalid("mediaState must be an object.")
    await _tell(call, "user-media-changed", mediaState=call.get("mediaState"))


@event("start-screen-share", limit=SIGN, namespace=CONSULTATION)
async def start_screen(call: Call) -> None:
    """{roomId}: the others hear user-screen-share-started."""
    await _tell(call, "user-screen-share-started")


@event("stop-screen-share", limit=SIGN, namespace=CONSULTATION)
async def stop_screen(call: Call) -> None:
    """{roomId}: the others hear user-screen-share-stopped."""
    await _tell(call, "user-screen-share-stopped")


@event("send-chat-message", limit=TALK, namespace=CONSULTATION)
async def chat(call: Call) -> Json:
    """{roomId, message}: store a message; everybody in the room hears chat-message once it is committed."""
    call.room("roomId")
    said = call.text("message")
    encounter = await call.hub.read(call.socket, call.principal, "Encounter", call.id("roomId"))
    return {"id": await write(call, encounter, said, "chat")}


def rooms(change: Change, communication: Json) -> Iterable[str]:
    """The call's room, when something was said."""
    id_ = encounter_id(communication)
    return [f"encounter/{id_}"] if id_ and change.interaction == "create" and is_message(communication) else []


@live("chat-message", "Communication", rooms, namespace=CONSULTATION)
async def said(hub: Hub, communication: Json) -> Json:
    """{roomId, id, senderId, senderName, senderRole, message, timestamp}."""
    id_, (reference, name) = encounter_id(communication), sender(communication)
    there = await hub.presence.at(f"{CONSULTATION} encounter/{id_}")
    roles = [one["r"] for one in there if one["u"] == reference]
    return {
        "roomId": id_,
        "id": communication["id"],
        "senderId": reference,
        "senderName": name,
        "senderRole": roles[0] if roles else reference.partition("/")[0].lower(),
        "message": text(communication),
        "timestamp": communication.get("sent") or communication["meta"]["lastUpdated"],
    }


def _role(principal: Principal) -> str:
    """What somebody is in a call: the first role of the token's user."""
    return principal.roles[0] if principal.roles else "observer"
