"""Emergencies: staff on duty listen in one room; an alert is a Flag (ig/input/fsh/emergency.fsh)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from fhir_server.change import Change
from fhir_server.outcomes import Forbidden, Invalid
from realtime.event import Call, event, live
from realtime.events._messages import codes
from realtime.hub import Hub
from realtime.limits import TALK
from realtime.rooms import EMERGENCY

Json = dict[str, Any]

CATEGORY = "http://fhir-server.example/ig/CodeSystem/flag-category"
PRIORITY = "http://hl7.org/fhir/StructureDefinition/flag-priority"
PRIORITIES = "http://hl7.org/fhir/flag-priority-code"
# The words of the reference system, and R4's codes.
_CODES = {"low": "PL", "medium": "PM", "high": "PH", "critical": "PH"}
_WORDS = {"PL": "low", "PM": "medium", "PH": "high"}


@event("emergency:join")
async def join(call: Call) -> None:
    """Hear of emergencies; for staff on duty. Each alert is told to those who may read its Flag."""
    if not await call.hub.rooms.allows(call.principal, EMERGENCY):
        raise Forbidden("This is for staff on duty.")
    await call.hub.rooms.enter(call.socket, EMERGENCY, call.principal)


@event("emergency:leave")
async def leave(call: Call) -> None:
    """Hear of them no longer."""
    await call.hub.rooms.leave(call.socket, EMERGENCY)


@event("emergency:alert", limit=TALK)
async def alert(call: Call) -> Json:
    """{patientId, message, priority?, caseId?}: raise an alert; patients leave out patientId. Who raises it is the
    token's user; priority is low, medium, high (unless given) or critical.
    """
    author = call.sender()
    priority = _CODES.get(str(call.get("priority") or "high").lower())
    if priority is None:
        raise Invalid(f"priority is one of {', '.join(_CODES)}.")
    flag: Json = {
        "resourceType": "Flag",
        "extension": [
            {"url": PRIORITY, "valueCodeableConcept": {"coding": [{"system": PRIORITIES, "code": priority}]}}
        ],
        "status": "active",
        "category": [{"coding": [{"system": CATEGORY, "code": "emergency"}]}],
        "code": {"text": call.text("message", most=2000)},
        "subject": {"reference": _patient(call, author)},
        "period": {"start": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")},
    }
    if call.get("caseId") is not None:
        flag["encounter"] = {"reference": f"Encounter/{call.id('caseId')}"}
    if author is not None:
        flag["author"] = author
    return {"id": await call.hub.create(call.socket, call.principal, flag)}


def _patient(call: Call, author: Json | None) -> str:
    if call.get("patientId") is None and author is not None and author["reference"].startswith("Patient/"):
        return str(author["reference"])
    return f"Patient/{call.id('patientId')}"


def rooms(change: Change, flag: Json) -> Iterable[str]:
    """The responders' room, when an emergency began, changed or is over."""
    return [EMERGENCY] if "emergency" in codes(flag, CATEGORY) else []


@live("emergency:alert", "Flag", rooms)
async def alerted(hub: Hub, flag: Json) -> Json:
    """{id, status, priority, message, code, patient, caseId, author, timestamp, resolved}."""
    concepts = [one.get("valueCodeableConcept", {}) for one in flag.get("extension", ()) if one.get("url") == PRIORITY]
    found = [coding.get("code", "") for one in concepts for coding in one.get("coding", ())]
    codings = flag["code"].get("coding", [{}])
    return {
        "id": flag["id"],
        "status": flag["status"],
        "priority": next((_WORDS[code] for code in found if code in _WORDS), None),
        "message": flag["code"].get("text") or codings[0].get("display", ""),
        "code": codings[0].get("code"),
        "patient": flag["subject"].get("reference"),
        "caseId": flag.get("encounter", {}).get("reference", "").partition("/")[2] or None,
        "author": flag.get("author", {}).get("reference"),
        "timestamp": flag.get("period", {}).get("start") or flag["meta"]["lastUpdated"],
        "resolved": flag.get("period", {}).get("end"),
    }
