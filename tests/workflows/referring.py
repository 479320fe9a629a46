"""Referrals for tests: requests and tasks to be posted, and the doors by which a task is answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from tests.workflows.clinic import CARDIOLOGY, DORA, Actor

Json = dict[str, Any]

REFERRAL = {"coding": [{"system": "http://snomed.info/sct", "code": "3457005"}]}
FULFILL = {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}]}
WHY = {"text": "On leave until Monday"}
ACTIONS = {"accepted": "accept", "rejected": "reject", "in-progress": "start", "completed": "complete"}

Answer = Callable[..., Awaitable[Json]]  # (who, task, status, expect=200)


def request(patient: str, performer: str = CARDIOLOGY, **more: Any) -> Json:
    """A ServiceRequest that refers the patient, as little as one has to say."""
    return {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "category": [REFERRAL],
        "code": {"text": "Assessment of chest pain"},
        "subject": {"reference": patient},
        "performer": [{"reference": performer}],
        **more,
    }


def task(focus: str, **more: Any) -> Json:
    """The Task of a request, with what the request does not say."""
    return {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "code": FULFILL,
        "focus": {"reference": focus},
        **more,
    }


def bundle(*resources: Json, method: str = "POST") -> Json:
    """A transaction of these resources; the fullUrl of each is its id as a URN."""
    entries = []
    for one in resources:
        url = one["resourceType"] + (f"/{one['id']}" if method == "PUT" else "")
        entry: Json = {"resource": one, "request": {"method": method, "url": url}}
        if method == "POST" and "id" in one:
            entry = {**entry, "fullUrl": f"urn:uuid:{one['id']}", "resource": {k: one[k] for k in one if k != "id"}}
        entries.append(entry)
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


async def refer(dora: Actor, patient: str, performer: str = CARDIOLOGY, **more: Any) -> Json:
    """The Task of a new referral: the request is all that is posted."""
    made = await dora.post("ServiceRequest", request(patient, performer, **more))
    (found,) = await dora.found(f"Task?focus=ServiceRequest/{made['id']}")
    return found


def stored(patient: str, name: str, state: str, request_state: str, **more: Any) -> list[Json]:
    """Task and request of dora's referral to sara in a state, to be put by the server itself."""
    asked = request(patient, id=name, status=request_state, priority="routine", requester={"reference": DORA})
    said = {"for": {"reference": patient}, "requester": {"reference": DORA}, "owner": {"reference": CARDIOLOGY}}
    authored = "2026-01-01T10:00:00Z"
    made = task(
        f"ServiceRequest/{name}", id=name, status=state, priority="routine", authoredOn=authored, **said, **more
    )
    return [made, {**asked, "authoredOn": authored}]


# ---- doors ----------------------------------------------------------------------------------------------


def said(there: Json, status: str) -> Json:
    """The task with this status, and a reason where one is needed."""
    return {**there, "status": status, **({"statusReason": WHY} if status == "rejected" else {})}


async def by_put(who: Actor, there: Json, status: str, expect: int = 200) -> Json:
    return await who.put(said(there, status), expect=expect)


async def by_patch(who: Actor, there: Json, status: str, expect: int = 200) -> Json:
    reason = [{"op": "add", "path": "/statusReason", "value": WHY}] if status == "rejected" else []
    status_ = {"op": "replace", "path": "/status", "value": status}
    return await who.patch(f"Task/{there['id']}", *reason, status_, expect=expect)


async def by_transaction(who: Actor, there: Json, status: str, expect: int = 200) -> Json:
    return await who.post("", bundle(said(there, status), method="PUT"), expect=expect)


async def by_respond(who: Actor, there: Json, status: str, expect: int = 200, **more: Any) -> Json:
    parts: list[Json] = [{"name": "action", "valueCode": ACTIONS.get(status, status)}]
    if status == "rejected":
        parts.append({"name": "reason", "valueCodeableConcept": WHY})
    parts += [{"name": "output", "valueReference": {"reference": one}} for one in more.get("output", ())]
    body = {"resourceType": "Parameters", "parameter": parts}
    return await who.post(f"Task/{there['id']}/$respond", body, expect=expect)


DOORS: dict[str, Answer] = {"put": by_put, "patch": by_patch, "transaction": by_transaction, "respond": by_respond}
