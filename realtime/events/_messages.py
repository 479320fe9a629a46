"""Messages as Communications: written as their sender, read back as the payloads of events.

The profiles are in ig/input/fsh/discussion.fsh. Who it is from, for whom and whether it is the team's own follows from
the same rules as for a plain POST.
"""

from __future__ import annotations

from typing import Any

from realtime.event import Call

Json = dict[str, Any]

KIND = "http://fhir-server.example/ig/CodeSystem/message-kind"
CATEGORY = "http://terminology.hl7.org/CodeSystem/communication-category"
MESSAGES = frozenset({"discussion", "chat"})
NOTICES = frozenset({"notification", "alert"})


async def write(call: Call, encounter: Json, text: str, kind: str) -> str:
    """Store a message of the caller's about the Encounter; answers its "Communication/id". Raises FhirError."""
    call.sender()  # a service says nothing on a socket
    message: Json = {
        "resourceType": "Communication",
        "status": "completed",
        "category": [{"coding": [{"system": KIND, "code": kind}]}],
        "encounter": {"reference": f"Encounter/{encounter['id']}"},
        "payload": [{"contentString": text}],
    }
    return await call.hub.create(call.socket, call.principal, message)


def codes(resource: Json, system: str) -> set[str]:
    """The codes of a system among the resource's categories."""
    codings = [coding for one in resource.get("category", ()) for coding in one.get("coding", ())]
    return {coding.get("code", "") for coding in codings if coding.get("system") == system}


def is_message(communication: Json) -> bool:
    """Whether it is said in a discussion or a chat: not a notice, and not the receipt of another message."""
    kinds = codes(communication, KIND)
    return not codes(communication, CATEGORY) & NOTICES and (not kinds or bool(kinds & MESSAGES))


def encounter_id(communication: Json) -> str:
    """The id of the Encounter that it is about; "" when there is none here."""
    type_, _, id_ = str(communication.get("encounter", {}).get("reference", "")).partition("/")
    return id_ if type_ == "Encounter" else ""


def text(communication: Json) -> str:
    """What it says."""
    return "\n".join(one["contentString"] for one in communication.get("payload", ()) if "contentString" in one)


def sender(communication: Json) -> tuple[str, str]:
    """Reference and name of who wrote it."""
    who = communication.get("sender", {})
    return str(who.get("reference", "")), str(who.get("display", ""))
