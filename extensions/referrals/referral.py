"""What a referral is: a request of the category referral, and the one task to fulfil it, in the shape of HL7's BSeR.

ig/input/fsh/referral.fsh · https://hl7.org/fhir/us/bser/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fhir_server import api
from fhir_server.access.principal import SYSTEM
from fhir_server.context import Context
from fhir_server.search.compile import compile
from fhir_server.search.parse import conditional
from fhir_server.storage.stored import Stored
from fhir_server.storage.unit_of_work import Guard, UnitOfWork, Write
from workflow.codes import FULFILL, Code, concept, has_code, sealed_as
from workflow.making import as_server, id_for, instant, reference
from workflow.people import key
from workflow.states import Transitions

Json = dict[str, Any]

REFERRAL: Code = ("http://snomed.info/sct", "3457005")
ERROR = "entered-in-error"
TRANSITIONS: Transitions = {
    "": {"requested": ("requester",)},
    "requested": {
        "accepted": ("owner",),
        "rejected": ("owner",),
        "cancelled": ("requester",),
        ERROR: ("requester",),
    },
    "accepted": {
        "in-progress": ("owner",),
        "completed": ("owner",),
        "cancelled": ("requester",),
        ERROR: ("requester",),
    },
    "in-progress": {"completed": ("owner",), ERROR: ("requester",)},
    "rejected": {ERROR: ("requester",)},
    "completed": {ERROR: ("requester",)},
    "cancelled": {ERROR: ("requester",)},
    ERROR: {},
}
# What the request is while its task is in a state; only an active one puts the patient in the performer's care.
REQUEST_IS: Mapping[str, str] = {
    "requested": "active",
    "accepted": "active",
    "in-progress": "active",
    "rejected": "revoked",
    "cancelled": "revoked",
    "completed": "completed",
    ERROR: ERROR,
}
PERSONS = ("Practitioner", "PractitionerRole")
HOUSES = ("Organization", "HealthcareService")  # of whose people one answers
PERFORMER = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Task.performer"  # R5's: who it is in fact


def is_referral(request: Json | None) -> bool:
    """Whether a ServiceRequest is a referral."""
    return request is not None and has_code(request.get("category"), REFERRAL)


def request_key(task: Json | None) -> str:
    """The "ServiceRequest/id" that a task is to fulfil; "" for any other task."""
    focus = key((task or {}).get("focus"))
    return focus if focus.startswith("ServiceRequest/") and has_code((task or {}).get("code"), FULFILL) else ""


def with_local(ctx: Context, resource: Json, names: tuple[str, ...]) -> Json:
    """The resource with references of these elements to this server as "Type/id", however they were written."""

    def local(value: Any) -> Any:
        if isinstance(value, list):
            return [local(one) for one in value]
        if isinstance(value, dict) and isinstance(value.get("reference"), str):
            return {**value, "reference": value["reference"].removeprefix(f"{ctx.base_url}/")}
        return value

    return {**resource, **{name: local(resource[name]) for name in names if name in resource}}


def is_house(owner: Json | None) -> bool:
    """Whether somebody else than a person is asked: one of its people answers for it."""
    return key(owner).partition("/")[0] in HOUSES


def answered_by(task: Json) -> Json | None:
    """Who of the house has answered; None while nobody has, or when a person was asked."""
    for one in task.get("extension", ()):
        if one.get("url") == PERFORMER:
            who: Json | None = next((part.get("valueReference") for part in one["extension"]), None)
            return who
    return None


def with_answer(task: Json, who: Json | None) -> Json:
    """The task with this answer's person, and no other."""
    rest = [one for one in task.get("extension", ()) if one.get("url") != PERFORMER]
    if who is not None:
        rest.append({"url": PERFORMER, "extension": [{"url": "actor", "valueReference": who}]})
    without = {name: value for name, value in task.items() if name != "extension"}
    return {**without, "extension": rest} if rest else without


def before(change: Write) -> Json | None:
    """What was there; None when there was nothing."""
    return change.base.resource() if change.base is not None and not change.base.deleted else None


async def task_of(ctx: Context, unit: UnitOfWork, request: str) -> Stored | None:
    """The task of a referral's request ("ServiceRequest/1"), as the unit will leave it."""
    for write in unit.writes.values():
        if write.type == "Task" and request_key(write.resource) == request:
            return write.pending()
    query = conditional("Task", f"focus={request}&code={'|'.join(FULFILL)}", ctx.base_url)
    found = await ctx.repository.find(SYSTEM, compile(query).filter, limit=1)
    return next((one for one in found if one.key not in unit.writes), None)  # there: deleted with it


async def first_task(ctx: Context, unit: UnitOfWork, request: str) -> Stored | None:
    """The task that there is already; with none the unit is made to lose against whoever makes one meanwhile."""
    held = await hold(ctx, unit, request)  # before the search: who makes one in between moves it
    there = await task_of(ctx, unit, request)
    if there is not None and held:
        del unit.guards[_guard(request)]
    return there


async def hold(ctx: Context, unit: UnitOfWork, request: str) -> bool:
    """Let one unit at a time say which tasks there are of a request; False when the unit does so already."""
    name = _guard(request)
    if name in unit.guards:
        return False
    unit.guards[name] = Guard(name, await ctx.repository.guard(name))
    return True


def _guard(request: str) -> str:
    return f"referral/{request}"


async def open_task(ctx: Context, unit: UnitOfWork, request: Json) -> None:
    """Add the task of an active request to the unit, unless it has one: its first performer is asked."""
    focus = reference(request)
    if await first_task(ctx, unit, focus["reference"]) is not None:
        return
    now = instant()
    task = {
        "resourceType": "Task",
        "id": id_for(focus["reference"], "referral"),
        "status": "requested",
        "intent": "order",
        "code": concept(FULFILL),
        "focus": focus,
        "owner": request["performer"][0],
        **from_request(request),
        "authoredOn": now,
        "lastModified": now,
    }
    task = sealed_as(task, request)
    base = await ctx.repository.read(SYSTEM, "Task", task["id"])
    await api.write(as_server(ctx, unit), Write("PUT", "Task", task["id"], task, base, exact=True))


def from_request(request: Json) -> Json:
    """What a task says as its request does: whose, who asks whom, how urgent."""
    names = {"for": "subject", "encounter": "encounter", "requester": "requester", "priority": "priority"}
    said = {name: request[there] for name, there in names.items() if there in request}
    performers = request.get("performer", [])
    return {"priority": "routine", **said, **({"owner": performers[0]} if len(performers) == 1 else {})}
