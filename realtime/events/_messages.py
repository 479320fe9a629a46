"""Messages as Communications: written as their sender, read back as the payloads of events.

The profiles are in ig/input/fsh/discussion.fsh.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from fhir_server.access.compartment import TEAM
from realtime.event import Call
from realtime.socket import is_staff

Json = dict[str, Any]

KIND = "http://fhir-server.example/ig/CodeSystem/message-kind"
CATEGORY = "http://terminology.hl7.org/CodeSystem/communication-category"
MESSAGES = frozenset({"discussion", "chat"})
NOTICES = frozenset({"notification", "alert"})


async def write(call: Call, encounter: Json, text: str, kind: str) -> str:
    """Store a message of the caller's about the Encounter; answers its "Communication/id". Raises FhirError.

    What staff say in a discussion is the team's own talk; a chat is for the patient, too.
    """
    among_staff = kind == "discussion" and is_staff(call.principal)
    sender = await _named_sender(call)
    addressed = dict.fromkeys(_participants(encounter))
    if not among_staff and (patient := encounter.get("subject", {}).get("reference")):
        addressed[patient] = None
    message: Json = {
        "resourceType": "Communication",
        "status": "completed",
        "category": [{"coding": [{"system": KIND, "code": kind}]}],
        "encounter": {"reference": f"Encounter/{encounter['id']}"},
        "sent": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "payload": [{"contentString": text}],
    }
    if among_staff:
        message["meta"] = {"security": [{"system": TEAM[0], "code": TEAM[1]}]}
    if encounter.get("subject", {}).get("reference", "").startswith("Patient/"):
        message["subject"] = {"reference": encounter["subject"]["reference"]}
    if sender is not None:
        message["sender"] = sender
        addressed.pop(sender["reference"], None)
    if addressed:
        message["recipient"] = [{"reference": one} for one in addressed]
    return await call.hub.create(call.socket, call.principal, message)


async def _named_sender(call: Call) -> Json | None:
    """The user of the token, with the name that their own resource gives, as far as they may read it."""
    sender = call.sender()
    if sender is None:
        return None
    type_, _, id_ = sender["reference"].partition("/")
    found = await call.hub.repository.read(call.principal, type_, id_)
    name = display(found.resource()) if found is not None and not found.deleted else ""
    return {**sender, "display": name} if name else sender


def display(person: Json) -> str:
    """The name of a person's resource in one line; "" when it has none."""
    for name in person.get("name", ()):
        if isinstance(name, dict):
            parts = [*name.get("given", ()), name.get("family", "")]
            return str(name.get("text") or " ".join(part for part in parts if part))
    return ""


def _participants(encounter: Json) -> Iterable[str]:
    for participant in encounter.get("participant", ()):
        reference = participant.get("individual", {}).get("reference")
        if reference:
            yield str(reference)


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
