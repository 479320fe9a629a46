"""What one person should know: a Communication of the category notification or alert, in the recipient's own room."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fhir_server.change import Change
from realtime.event import live
from realtime.events._messages import CATEGORY, NOTICES, codes, sender, text
from realtime.hub import Hub

Json = dict[str, Any]


def rooms(change: Change, communication: Json) -> Iterable[str]:
    """The recipients' rooms, when it is new."""
    if change.interaction != "create" or not codes(communication, CATEGORY) & NOTICES:
        return []
    references = [one.get("reference", "") for one in communication.get("recipient", ())]
    return [f"user/{one}" for one in dict.fromkeys(references) if one]


@live("notification", "Communication", rooms)
async def notified(hub: Hub, communication: Json) -> Json:
    """{id, category, message, sender, senderName, priority, about, timestamp, status}."""
    reference, name = sender(communication)
    return {
        "id": communication["id"],
        "category": min(codes(communication, CATEGORY) & NOTICES),
        "message": text(communication),
        "sender": reference,
        "senderName": name,
        "priority": communication.get("priority", "routine"),
        "about": [one["reference"] for one in communication.get("about", ()) if "reference" in one],
        "timestamp": communication.get("sent") or communication["meta"]["lastUpdated"],
        "status": communication["status"],
    }
