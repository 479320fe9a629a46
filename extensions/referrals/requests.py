"""The request of a referral: made by who refers, and from then on what its task says.

https://hl7.org/fhir/R4/servicerequest.html · ig/input/fsh/referral.fsh, ReferralRequest
"""

from __future__ import annotations

from typing import Any

from extensions.referrals.referral import (
    ERROR,
    HOUSES,
    PERSONS,
    REQUEST_IS,
    before,
    first_task,
    is_referral,
    open_task,
    task_of,
    with_local,
)
from fhir_server import api
from fhir_server.access import Principal
from fhir_server.access.principal import SYSTEM
from fhir_server.change import Change
from fhir_server.context import Context
from fhir_server.outcomes import BusinessRule, Conflict, Forbidden
from fhir_server.registry import on_change, rule
from fhir_server.storage.stored import Stored
from fhir_server.storage.unit_of_work import Lost, UnitOfWork, Write
from workflow.making import as_server, instant
from workflow.people import is_me, key
from workflow.states import allow, is_unbound, keep

Json = dict[str, Any]

WHAT = "referral's request"
FIXED = ("intent", "category", "subject", "requester", "performer", "authoredOn")
_TRIES = 5


@rule("ServiceRequest")
async def request_of_a_referral(ctx: Context, change: Write, unit: UnitOfWork) -> None:
    """Whoever refers says so in person; the state of an open referral is its task's, and changed there."""
    was, wanted = before(change), change.resource
    if ctx.principal is SYSTEM or not (is_referral(was) or is_referral(wanted)):
        return
    if wanted is None:
        await _deleted(ctx, unit, change.key)
        return
    wanted = with_local(ctx, wanted, ("subject", "requester", "performer"))
    if was is None or not is_referral(was) or was["status"] == "draft":
        change.resource = _made(ctx.principal, was, wanted)
        await _check_new(ctx, unit, change.key, change.resource)
        # In a Bundle the task may be another entry: where it is not, `task_of_an_active_request` makes it.
        if wanted["status"] == "active" and ctx.unit is None:
            await open_task(ctx, unit, change.resource)
    else:
        change.resource = await _changed(ctx, unit, was, wanted)


@on_change("ServiceRequest", interactions=("create", "update"))
async def task_of_an_active_request(ctx: Context, change: Change) -> None:
    """Every active referral has a task, whatever door it came by."""
    for _ in range(_TRIES):
        stored = await ctx.repository.read(SYSTEM, "ServiceRequest", change.id)
        request = stored.resource() if stored is not None and not stored.deleted else {}
        if not is_referral(request) or request["status"] != "active" or not _is_addressed(request):
            return
        unit = UnitOfWork()
        await open_task(ctx, unit, request)
        try:
            await ctx.repository.commit(unit)
        except Lost:
            continue
        return
    raise Lost(change.key)


def _made(principal: Principal, was: Json | None, wanted: Json) -> Json:
    """A new request, or a draft that may still become anything: with what follows from the caller and the moment."""
    said: Json = {"priority": "routine", "authoredOn": instant()}
    if principal.user:
        said["requester"] = {"reference": principal.user}
    made = {**said, **wanted}
    for one in (made, was if was is not None and is_referral(was) else made):
        if not is_unbound(principal) and not is_me(principal, one.get("requester")):
            raise Forbidden("Nobody refers in another's name.")
    if was is None and not is_unbound(principal) and made["status"] not in ("draft", "active"):
        raise BusinessRule(
            f"A new {WHAT} is draft or active, not {made['status']}.", expression=["ServiceRequest.status"]
        )
    if made["status"] == "active" and not _is_addressed(made):
        raise BusinessRule(
            f"A referral is of a Patient, and its performers are of {', '.join((*PERSONS, *HOUSES))}.",
            expression=["ServiceRequest.performer"],
        )
    return made


async def _check_new(ctx: Context, unit: UnitOfWork, key_: str, made: Json) -> None:
    """Raise Conflict (409) when there is a task already: nobody has judged it by the rules of a referral's."""
    if is_unbound(ctx.principal) or not is_referral(made):  # who brings referrals from elsewhere has both
        return
    if await first_task(ctx, unit, key_) is not None:
        raise Conflict(
            "There is a task of this order already: it becomes no referral.",
            expression=["ServiceRequest.category"],
            code="business-rule",
        )


async def _changed(ctx: Context, unit: UnitOfWork, was: Json, wanted: Json) -> Json:
    wanted = keep(was, {"priority": was.get("priority", "routine"), **wanted}, FIXED, what=WHAT)
    if wanted["status"] == was["status"] and wanted["priority"] == was.get("priority", "routine"):
        return wanted
    allow(ctx.principal, ("requester",), {"requester": is_me(ctx.principal, was.get("requester"))}, what="referral")
    task = await task_of(ctx, unit, f"ServiceRequest/{was['id']}")
    if task is None:
        return wanted
    state = task.resource()["status"]
    if wanted["status"] != was["status"] and wanted["status"] != REQUEST_IS.get(state):
        raise Conflict(
            f"The referral is {state}: its state is changed in {task.key}, and the request follows.",
            expression=["ServiceRequest.status"],
            code="business-rule",
        )
    if wanted["priority"] != task.resource().get("priority"):
        await _write(ctx, unit, task, {"priority": wanted["priority"]})
    return wanted


async def _deleted(ctx: Context, unit: UnitOfWork, request: str) -> None:
    """Without its request a task is nobody's any more."""
    task = await task_of(ctx, unit, request)
    if task is not None and task.resource()["status"] != ERROR:
        await _write(ctx, unit, task, {"status": ERROR})


async def _write(ctx: Context, unit: UnitOfWork, task: Stored, more: Json) -> None:
    wanted = {**task.resource(), **more, "lastModified": instant()}
    await api.write(as_server(ctx, unit), Write("PUT", "Task", task.id, wanted, task, exact=True))


def _is_addressed(request: Json) -> bool:
    performers = [key(one).partition("/")[0] for one in request.get("performer", ())]
    of_patient = key(request.get("subject")).startswith("Patient/")
    return of_patient and bool(performers) and all(one in (*PERSONS, *HOUSES) for one in performers)
