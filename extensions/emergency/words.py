"""What emergencies are told by: their priorities, deadlines and ids, and how often one was escalated."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from workflow.codes import EMERGENCY_FLAG, GUIDE, RESPONDER_STATUS, Json, concept, has_code
from workflow.making import id_for
from workflow.people import key

PRIORITY = "http://hl7.org/fhir/StructureDefinition/flag-priority"
PRIORITIES = "http://hl7.org/fhir/flag-priority-code"
DETAIL = "http://hl7.org/fhir/StructureDefinition/flag-detail"
ESCALATION = f"{GUIDE}/CodeSystem/escalation-level"
WORDS = {"PH": "high", "PM": "medium", "PL": "low"}  # the codes of flag-priority-code
LEVELS = 3  # an emergency that nobody answers is escalated so often

OPEN = ("requested", "accepted", "in-progress")  # an emergency's task while it lasts
COMING = ("en-route", "on-scene")  # responders who are there, or will be


def is_emergency(flag: Json | None) -> bool:
    """Whether a Flag is of the category emergency."""
    return bool(flag) and has_code((flag or {}).get("category"), EMERGENCY_FLAG)


def is_active(flag: Json | None) -> bool:
    """Whether it is an emergency that lasts."""
    return is_emergency(flag) and (flag or {}).get("status") == "active"


def task_id(flag: str) -> str:
    """The id of the Task that carries the state of an emergency: "Flag/1"."""
    return id_for(flag, "emergency")


def priority(flag: Json) -> str:
    """PL, PM or PH; what says none is high."""
    said = [one.get("valueCodeableConcept", {}) for one in flag.get("extension", ()) if one.get("url") == PRIORITY]
    codes = [coding.get("code") for one in said for coding in one.get("coding", ())]
    return next((code for code in codes if code in WORDS), "PH")


def priority_extension(code: str) -> Json:
    """R4's extension for the priority of a Flag."""
    return {"url": PRIORITY, "valueCodeableConcept": concept((PRIORITIES, code))}


def deadline(flag: Json, minutes: str, now: datetime) -> datetime:
    """When the emergency is escalated unless somebody answers; `minutes` is the setting emergency_minutes."""
    return now + timedelta(minutes=dict(zip(WORDS, map(float, minutes.split(",")), strict=True))[priority(flag)])


def due(task: Json) -> datetime:
    """When a Task is to be escalated; never, when it does not say."""
    end = task.get("restriction", {}).get("period", {}).get("end")
    if not end or "T" not in end:
        return datetime.max.replace(tzinfo=UTC)
    return datetime.fromisoformat(end.replace("Z", "+00:00"))


def level(task: Json) -> int:
    """How often it was escalated: 0 to LEVELS."""
    codings = task.get("businessStatus", {}).get("coding", ())
    found = [coding.get("code", "") for coding in codings if coding.get("system") == ESCALATION]
    return next((int(code) for code in found if code.isdigit()), 0)


def word(responder: Json) -> str:
    """How far a responder is: a code of responder-status, or ""."""
    codings = responder.get("businessStatus", {}).get("coding", ())
    return next((str(one.get("code")) for one in codings if one.get("system") == RESPONDER_STATUS), "")


def said(status: str) -> Json:
    """Task.businessStatus of a responder."""
    return concept((RESPONDER_STATUS, status))


def place(flag: Json) -> tuple[Json | None, Json | None]:
    """Where it is, by the extension flag-detail: a reference to a Location, and that Location when it is contained."""
    contained = {f"#{one.get('id')}": one for one in flag.get("contained", ()) if one["resourceType"] == "Location"}
    for one in flag.get("extension", ()):
        reference = one.get("valueReference", {}) if one.get("url") == DETAIL else {}
        if reference.get("reference") in contained:
            return {"reference": reference["reference"]}, contained[reference["reference"]]
        if key(reference).startswith("Location/"):
            return reference, None
    return None, None


def content(stored: Any) -> Json:
    """What there was before a write; {} when there was nothing, or it was deleted."""
    found: Json = {} if stored is None or stored.deleted else stored.resource()
    return found
