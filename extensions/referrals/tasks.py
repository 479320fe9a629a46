"""The task of a referral: its states, who may take which step, and the request that follows in the same transaction.

https://hl7.org/fhir/R4/task.html · ig/input/fsh/referral.fsh, ReferralTask
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from extensions.referrals.referral import (
    ERROR,
    REQUEST_IS,
    TRANSITIONS,
    answered_by,
    before,
    first_task,
    from_request,
    hold,
    is_house,
    is_referral,
    request_key,
    with_answer,
    with_local,
)
from fhir_server import api
from fhir_server.access import Principal
from fhir_server.access.principal import SYSTEM
from fhir_server.context import Context
from fhir_server.outcomes import BusinessRule, Conflict, Forbidden, Unprocessable
from fhir_server.registry import rule
from fhir_server.storage.stored import Stored
from fhir_server.storage.unit_of_work import UnitOfWork, Write
from workflow.codes import sealed_as
from workflow.making import as_server, instant
from workflow.people import is_me, key
from workflow.states import allow, is_unbound, keep, step

Json = dict[str, Any]

WHAT = "referral"
FIXED = ("focus", "for", "requester", "owner", "code", "intent", "authoredOn")
_REFERENCES = ("focus", "for", "requester", "owner")


@rule("Task")
async def task_of_a_referral(ctx: Context, change: Write, unit: UnitOfWork) -> None:
    """A referral goes its way by the steps of the table, each taken by who may; the request goes with it."""
    if ctx.principal is SYSTEM:
        return
    was = before(change)
    wanted = with_local(ctx, change.resource, _REFERENCES) if change.resource is not None else None
    inside = as_server(ctx, unit)
    if was is not None and (request := await _referral(inside, was)) is not None:
        if wanted is None:
            await _follow(inside, request, {"status": ERROR})
            return
        change.resource = after = sealed_as(_changed(ctx.principal, was, wanted), was)
        await _follow(inside, request, _said(after, request.resource()))
    elif wanted is not None and (key_ := request_key(wanted)):
        await hold(ctx, unit, key_)  # before it is read: what an order becomes meanwhile, the task loses against
        asked = await _asked(ctx, unit, key_)
        if asked is not None and is_referral(asked):
            change.resource = await _made(ctx, unit, asked, wanted)


# ---- a new one ------------------------------------------------------------------------------------------


async def _asked(ctx: Context, unit: UnitOfWork, request: str) -> Json | None:
    """The request that a new task names, which its maker must see: others learn nothing of it."""
    type_, _, id_ = request.partition("/")
    inside = as_server(ctx, unit)
    inside.principal = ctx.principal
    stored = await api.current(inside, type_, id_)
    if stored is not None and not stored.deleted:
        return stored.resource()
    if is_unbound(ctx.principal):
        return None
    raise Unprocessable(f"There is no {request}.", expression=["Task.focus"])


async def _made(ctx: Context, unit: UnitOfWork, request: Json, wanted: Json) -> Json:
    """A new task agrees with its request, is made by who refers, and is the only one."""
    now = instant()
    made = {**from_request(request), "authoredOn": now, **wanted, "lastModified": now}
    if not is_unbound(ctx.principal):  # who brings referrals from elsewhere brings them as they are
        step(TRANSITIONS, "", made["status"], what=WHAT, expression="Task.status")
    _agree(request, made)
    are = {"requester": is_me(ctx.principal, made.get("requester"))}
    allow(ctx.principal, ("requester",), are, what=WHAT)
    there = await first_task(ctx, unit, f"ServiceRequest/{request['id']}")
    if there is not None and there.key != f"Task/{made['id']}":
        raise Conflict(f"The referral has its task: {there.key}, {there.resource()['status']}.", code="duplicate")
    if request["status"] != REQUEST_IS.get(made["status"]):
        raise Conflict(
            f"The request is {request['status']}, and its task cannot be {made['status']}.",
            expression=["Task.status"],
            code="business-rule",
        )
    return with_answer(made, None)


def _agree(request: Json, task: Json) -> None:
    """Raise BusinessRule (422) unless the task says what its request does."""
    performers = [key(one) for one in request.get("performer", ())]
    same = {
        "for": key(task.get("for")) == key(request.get("subject")),
        "requester": key(task.get("requester")) == key(request.get("requester")),
        "owner": key(task.get("owner")) in performers,
        "priority": task["priority"] == request.get("priority", "routine"),
    }
    for name, agrees in same.items():
        if not agrees:
            raise BusinessRule(f"{name} of the task is not what the request says.", expression=[f"Task.{name}"])


# ---- a step ---------------------------------------------------------------------------------------------


def _changed(principal: Principal, was: Json, wanted: Json) -> Json:
    """The task after the step, with what the server says of it; raises what refuses it."""
    wanted = keep(was, {"priority": was.get("priority", "routine"), **wanted}, FIXED, what=WHAT)
    wanted = with_answer(wanted, answered_by(was))
    are = {name: is_me(principal, was.get(name)) for name in ("requester", "owner")}
    _refuse_second(principal, was, are)
    state = wanted["status"]
    who = step(TRANSITIONS, was["status"], state, what=WHAT, expression="Task.status")
    allow(principal, who or ("requester", "owner"), are, what=WHAT)
    if wanted["priority"] != was.get("priority", "routine"):
        allow(principal, ("requester",), are, what=f"urgency of the {WHAT}")
    if state == "rejected" and not wanted.get("statusReason"):
        raise BusinessRule("A rejected referral says why.", expression=["Task.statusReason"])
    if who == ("owner",) and is_house(was["owner"]) and principal.user and not is_unbound(principal):
        if are["requester"]:  # it would put the patient in the care of who asks
            raise Forbidden("Whoever refers to their own house does not answer for it.")
        wanted = with_answer(wanted, {"reference": principal.user})
    return {**wanted, "lastModified": instant()}


def _refuse_second(principal: Principal, was: Json, are: Mapping[str, bool]) -> None:
    """Raise Conflict (409) for a colleague of who has answered for the house."""
    answered = answered_by(was)
    if answered is None or are["requester"] or not are["owner"]:
        return
    if not is_unbound(principal) and not is_me(principal, answered):
        raise Conflict(
            f"The referral is {was['status']}: {key(answered)} has answered it.",
            expression=["Task.status"],
            code="business-rule",
        )


# ---- what follows ---------------------------------------------------------------------------------------


async def _referral(inside: Context, task: Json) -> Stored | None:
    """The request of a referral's task; None when it is of no referral."""
    type_, _, id_ = request_key(task).partition("/")
    stored = await api.current(inside, type_, id_) if id_ else None
    return stored if stored is not None and not stored.deleted and is_referral(stored.resource()) else None


def _said(task: Json, request: Json) -> Json:
    """What the request says beside its task: the status, the urgency, and whose care the patient is in."""
    said: Json = {"status": REQUEST_IS.get(task["status"], request["status"]), "priority": task["priority"]}
    answered = answered_by(task)
    performers = request.get("performer", [])
    if answered is not None and said["status"] != "revoked" and key(answered) not in map(key, performers):
        said["performer"] = [*performers, answered]
    return said


async def _follow(inside: Context, request: Stored, said: Json) -> None:
    there = request.resource()
    wanted = {**there, **said}
    if wanted != there:
        assert inside.unit is not None
        await api.write(inside, Write("PUT", request.type, request.id, wanted, request, exact=True))
