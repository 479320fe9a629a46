"""The Task of an emergency: made by the server, accepted by the first who answers, ended together with its Flag."""

from __future__ import annotations

from extensions.emergency.ending import (
    CANCELLERS,
    ENDERS,
    check_alone,
    end_responders,
    ended_flag,
    roles_in,
)
from extensions.emergency.inside import OURS, flag_of, is_state, store
from extensions.emergency.responder import answer
from extensions.emergency.words import OPEN, content, is_active
from fhir_server.context import Context
from fhir_server.outcomes import BusinessRule, Conflict, Forbidden
from fhir_server.registry import rule
from fhir_server.storage.unit_of_work import UnitOfWork, Write
from realtime.socket import is_responder
from workflow.codes import Json, sealed_as
from workflow.making import instant
from workflow.people import is_me, key
from workflow.states import Transitions, allow, is_unbound, step

TRANSITIONS: Transitions = {
    "requested": {
        "accepted": ("clinician",),
        "in-progress": ("clinician",),
        "completed": ENDERS,
        "cancelled": CANCELLERS,
    },
    "accepted": {"in-progress": ("clinician",), "completed": ENDERS, "cancelled": CANCELLERS},
    "in-progress": {"completed": ENDERS, "cancelled": CANCELLERS},
}
_KEPT = ("code", "intent", "priority", "focus", "for", "requester", "authoredOn", "restriction", "businessStatus")
_ANSWERS = {"accepted": "en-route", "in-progress": "on-scene", "rejected": "declined"}
_STAMPS = ("meta", "lastModified", "statusReason")


@rule("Task")
async def emergency(ctx: Context, change: Write, unit: UnitOfWork) -> None:
    """Hold the state table of emergencies on their Tasks, and write what follows with them.

    Who writes accepted, in-progress or rejected says so of themselves and gets a responder's Task: the first
    acceptance changes the state, later ones and rejections leave it as it was.
    """
    before, after = content(change.base), change.resource
    if ctx.principal is OURS or not (is_state(before) or is_state(after)):
        return
    if not is_state(before):
        if not ctx.principal.is_open:  # what is loaded brings its own
            raise BusinessRule("The server makes the task of an emergency: post its Flag.", expression=["Task.code"])
        return
    if after is None:
        if before["status"] in OPEN and is_active(await flag_of(ctx, unit, before)):
            raise Conflict("The emergency lasts: end it, or delete its Flag.")
        return
    change.resource = after = sealed_as(dict(after), before)
    _keep(before, after)
    said = str(after.get("status"))
    if before["status"] in OPEN and (said == "rejected" or (said, before["status"]) == ("accepted", "in-progress")):
        after["status"] = before["status"]  # they speak for themselves
    await _check(ctx, unit, before, after)
    after["lastModified"] = instant()
    if after["status"] in ("completed", "cancelled"):
        if before["status"] in OPEN:
            await _end(ctx, unit, after)
    elif said in _ANSWERS and _is_answer(before, after, said) and is_responder(ctx.principal) and ctx.principal.user:
        if said != "rejected":
            after.setdefault("owner", {"reference": ctx.principal.user})
        await answer(ctx, unit, after, _ANSWERS[said])


def _keep(before: Json, after: Json) -> None:
    """What the server decides stays, and is put back where it was left out."""
    for name in _KEPT:
        if name in before and after.setdefault(name, before[name]) != before[name]:
            raise BusinessRule(f"The {name} of an emergency's task stays.", expression=[f"Task.{name}"])
        if name in after and name not in before:
            raise BusinessRule(f"The {name} of an emergency's task is the server's.", expression=[f"Task.{name}"])


async def _check(ctx: Context, unit: UnitOfWork, before: Json, after: Json) -> None:
    """Raise Conflict (409) for a step that there is not, Forbidden (403) for one that is not the caller's."""
    owner = after.get("owner")
    if key(owner) != key(before.get("owner")) and not is_unbound(ctx.principal):
        allow(ctx.principal, ("clinician",), {"clinician": is_responder(ctx.principal)}, what="emergency")
        if owner and not is_me(ctx.principal, owner):
            raise Forbidden("Everybody answers for themselves.", expression=["Task.owner"])
    who = step(TRANSITIONS, before["status"], after["status"], what="emergency", expression="Task.status")
    if not who:
        return
    if who == ("clinician",):
        allow(ctx.principal, who, {"clinician": is_responder(ctx.principal)}, what="emergency")
        return
    flag = await flag_of(ctx, unit, before)
    are = await roles_in(ctx, unit, flag or {}, before)
    allow(ctx.principal, who, are, what="emergency")
    check_alone(ctx, are, before)


def _is_answer(before: Json, after: Json, said: str) -> bool:
    """Whether somebody answers: by a step, a rejection, or by saying again what is so, and nothing else."""
    if before["status"] not in OPEN or said != before["status"]:
        return before["status"] in OPEN
    if said != "accepted":
        return False
    names = (before.keys() | after.keys()) - set(_STAMPS)
    return all(before.get(name) == after.get(name) for name in names)


async def _end(ctx: Context, unit: UnitOfWork, task: Json) -> None:
    """With the Task over, its Flag and the responders' Tasks end in the same transaction."""
    flag = await flag_of(ctx, unit, task)
    if flag is not None and is_active(flag):
        ended = "inactive" if task["status"] == "completed" else "entered-in-error"
        await store(ctx, unit, ended_flag(flag, ended))
    await end_responders(ctx, unit, task, task["status"])
