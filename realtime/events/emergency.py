"""Emergencies: staff on duty listen in one room; an alert is a Flag (ig/input/fsh/emergency.fsh)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from fhir_server.access.principal import SYSTEM
from fhir_server.change import Change
from fhir_server.outcomes import Forbidden, Invalid
from fhir_server.search.compile import compile
from fhir_server.search.parse import conditional
from realtime.event import Call, event, live
from realtime.events._messages import codes
from realtime.hub import Hub
from realtime.limits import TALK
from realtime.rooms import EMERGENCY

Json = dict[str, Any]

CATEGORY = "http://fhir-server.example/ig/CodeSystem/flag-category"
PRIORITY = "http://hl7.org/fhir/StructureDefinition/flag-priority"
PRIORITIES = "http://hl7.org/fhir/flag-priority-code"
DETAIL = "http://hl7.org/fhir/StructureDefinition/flag-detail"
KINDS = "http://fhir-server.example/ig/CodeSystem/task-kind"
PROGRESS = "http://fhir-server.example/ig/CodeSystem/responder-status"
ESCALATION = "http://fhir-server.example/ig/CodeSystem/escalation-level"
MOST = 200  # responders that are told of
# The words of the reference system, and R4's codes.
_CODES = {"low": "PL", "medium": "PM", "high": "PH", "critical": "PH"}
_NOTHING: Json = {"task": None, "state": "requested", "escalated": 0, "deadline": None, "responders": []}
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
    """{patientId, message, priority?, caseId?, position?}: raise an alert; patients leave out patientId. Who raises it
    is the token's user; priority is low, medium, high (unless given) or critical, position {latitude, longitude}.
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
    if call.get("position") is not None:
        # Contained: where somebody is, is told to those who may read the Flag, and to nobody else.
        flag["contained"] = [_location(call.get("position"))]
        flag["extension"].append({"url": DETAIL, "valueReference": {"reference": "#position"}})
    return {"id": await call.hub.create(call.socket, call.principal, flag)}


def _patient(call: Call, author: Json | None) -> str:
    if call.get("patientId") is None and author is not None and author["reference"].startswith("Patient/"):
        return str(author["reference"])
    return f"Patient/{call.id('patientId')}"


def _location(position: Any) -> Json:
    """A Location at a position {latitude, longitude}, in degrees. Raises Invalid (400)."""
    degrees = {}
    for name, most in (("latitude", 90), ("longitude", 180)):
        value = position.get(name) if isinstance(position, dict) else None
        if not isinstance(value, int | float) or isinstance(value, bool) or not -most <= value <= most:
            raise Invalid(f"position.{name} is a number from -{most} to {most}.")
        degrees[name] = Decimal(str(value))
    return {"resourceType": "Location", "id": "position", "mode": "instance", "position": degrees}


def rooms(change: Change, flag: Json) -> Iterable[str]:
    """The responders' room, when an emergency began, changed or is over."""
    return [EMERGENCY] if "emergency" in codes(flag, CATEGORY) else []


@live("emergency:alert", "Flag", rooms)
async def alerted(hub: Hub, flag: Json) -> Json:
    """{id, status, priority, message, code, patient, caseId, author, timestamp, resolved, position}, and how it
    stands as in emergency:update.
    """
    concepts = [one.get("valueCodeableConcept", {}) for one in flag.get("extension", ()) if one.get("url") == PRIORITY]
    found = [coding.get("code", "") for one in concepts for coding in one.get("coding", ())]
    codings = flag["code"].get("coding", [{}])
    # The first version is told the fast way: nothing can have followed from it yet.
    is_new = flag["meta"]["versionId"] == "1"
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
        "position": await _position(hub, flag),
        **(_NOTHING if is_new else await _progress(hub, f"Flag/{flag['id']}")),
    }


def task_rooms(change: Change, task: Json) -> Iterable[str]:
    """The responders' room, when an emergency is answered or escalated, or a responder gets on."""
    kinds = _kinds(task)
    news = "respond" in kinds or ("emergency" in kinds and change.interaction != "create")  # a Flag tells that it began
    return [EMERGENCY] if news else []


@live("emergency:update", "Task", task_rooms)
async def updated(hub: Hub, task: Json) -> Json:
    """{id, task, state, escalated, deadline, responders}: how an emergency stands; id is that of its Flag."""
    flag = task.get("focus", {}).get("reference", "")
    return {"id": flag.partition("/")[2], **await _progress(hub, flag)}


async def _progress(hub: Hub, flag: str) -> Json:
    """How far an emergency's Tasks are, whichever of them changed."""
    tasks = await _tasks(hub, flag)
    state = next((one for one in tasks if "emergency" in _kinds(one)), {})
    return {
        "task": state.get("id"),
        "state": state.get("status"),
        "escalated": int(_said(state, ESCALATION) or 0),
        "deadline": state.get("restriction", {}).get("period", {}).get("end"),
        "responders": [
            {"userId": one.get("owner", {}).get("reference"), "status": _said(one, PROGRESS)}
            for one in tasks
            if "respond" in _kinds(one)
        ],
    }


async def _tasks(hub: Hub, flag: str) -> list[Json]:
    query = f"focus={flag}&code={KINDS}|emergency,{KINDS}|respond"
    wanted = compile(conditional("Task", query, "")).filter
    found = await hub.repository.find(SYSTEM, wanted, limit=MOST, sort=[("t", 1)])
    return [row.resource() for row in found]


async def _position(hub: Hub, flag: Json) -> Json | None:
    """Where it is, {latitude, longitude}: by the Location that the Flag contains or refers to."""
    contained = {f"#{one.get('id')}": one for one in flag.get("contained", ())}
    references = [one.get("valueReference", {}) for one in flag.get("extension", ()) if one.get("url") == DETAIL]
    for reference in (str(one.get("reference", "")) for one in references):
        location = contained.get(reference)
        if location is None and reference.startswith("Location/"):
            stored = await hub.repository.read(SYSTEM, "Location", reference.partition("/")[2])
            location = stored.resource() if stored is not None and not stored.deleted else None
        if location is not None and "position" in location:
            return {name: float(location["position"][name]) for name in ("latitude", "longitude")}
    return None


def _kinds(task: Json) -> set[str]:
    return {one.get("code", "") for one in task.get("code", {}).get("coding", ()) if one.get("system") == KINDS}


def _said(task: Json, system: str) -> str | None:
    codings = task.get("businessStatus", {}).get("coding", ())
    return next((one.get("code") for one in codings if one.get("system") == system), None)
