"""The Tasks of those who answer an emergency: businessStatus says how far each is, status follows."""

from __future__ import annotations

from extensions.emergency.inside import OURS, is_state, responders, store, within
from extensions.emergency.words import COMING, OPEN, content, said, word
from fhir_server import api
from fhir_server.context import Context
from fhir_server.outcomes import BusinessRule, Conflict, Forbidden, NotFound
from fhir_server.registry import rule
from fhir_server.storage.unit_of_work import Guard, UnitOfWork, Write
from realtime.socket import is_responder
from workflow.codes import RESPOND_TASK, Json, concept, has_code
from workflow.making import id_for, instant
from workflow.people import key
from workflow.states import Transitions, allow, is_unbound, step

TRANSITIONS: Transitions = {
    "": {"notified": ("owner",), "en-route": ("owner",), "on-scene": ("owner",), "declined": ("owner",)},
    "notified": {"en-route": ("owner",), "on-scene": ("owner",), "declined": ("owner",)},
    "en-route": {"on-scene": ("owner",), "finished": ("owner",), "declined": ("owner",)},
    "on-scene": {"finished": ("owner",)},
    "declined": {"en-route": ("owner",), "on-scene": ("owner",)},
    "finished": {},
}
STATUS = {
    "notified": "requested",
    "en-route": "in-progress",
    "on-scene": "in-progress",
    "finished": "completed",
    "declined": "rejected",
}
# What a plain status means where businessStatus does not say more.
MEANS = {
    "requested": "notified",
    "received": "notified",
    "accepted": "en-route",
    "in-progress": "en-route",
    "completed": "finished",
    "rejected": "declined",
}
_KEPT = ("partOf", "focus", "for", "owner")


@rule("Task")
async def responder(ctx: Context, change: Write, unit: UnitOfWork) -> None:
    """Hold the state table of responders; the first who comes accepts the emergency, in the same transaction."""
    before, after = content(change.base), change.resource
    is_one = has_code((after or {}).get("code"), RESPOND_TASK)
    if after is None or ctx.principal is OURS or not (is_one or has_code(before.get("code"), RESPOND_TASK)):
        return
    # Before anything is looked up: who may not answer learns of nothing.
    if not is_unbound(ctx.principal) and not is_responder(ctx.principal):
        raise Forbidden("Emergencies are answered by clinicians on duty.")
    if not is_one:
        raise BusinessRule("A responder's task stays one.", expression=["Task.code"])
    before = before if has_code(before.get("code"), RESPOND_TASK) else {}  # what becomes one begins as one
    change.resource = after = dict(after)
    # Who answers already is told how it stands, also when they would not find it any more.
    task = await _emergency(within(ctx, unit) if before else ctx, before or after)
    if task is None:
        return  # loaded before what it is part of
    if before:
        _keep(before, after)
    else:
        await _complete(ctx, unit, change.id, task, after)
    now = _said(before, after)
    allow(ctx.principal, ("owner",), {"owner": key(after["owner"]) == ctx.principal.user}, what="response")
    who = step(TRANSITIONS, word(before), now, what="response", expression="Task.businessStatus")
    if task["status"] not in OPEN:
        if ctx.principal.is_open and not before:
            return  # loaded as it was
        if who:
            raise Conflict(f"The emergency is {task['status']} and takes no responder.", code="business-rule")
    _set(after, now)
    if who and (moved := accepted(task, after)) is not None:
        await store(ctx, unit, moved)


async def answer(ctx: Context, unit: UnitOfWork, task: Json, status: str) -> None:
    """Note how far the caller is in an emergency whose Task they write: in a Task of their own, made if need be."""
    user = ctx.principal.user
    mine = [one for one in await responders(ctx, unit, task) if key(one.get("owner")) == user]
    last = next((one for one in mine if one["status"] in OPEN), mine[-1] if mine else None)
    before = word(last or {})
    if last is None or before == "finished":
        last = _new(task, id_for(f"Task/{task['id']}", user, str(len(mine))), user)
        before = ""
    if before == status or status not in TRANSITIONS[before]:
        return  # they are there already, or further
    _set(last, status)
    await store(ctx, unit, last)


def accepted(task: Json, responder: Json) -> Json | None:
    """The emergency's Task as a responder's progress makes it; None when that changes nothing."""
    wanted = {"en-route": "accepted", "on-scene": "in-progress"}.get(word(responder))
    if wanted is None or OPEN.index(task["status"]) >= OPEN.index(wanted):
        return None
    return {"owner": responder["owner"], **task, "status": wanted, "lastModified": instant()}


async def _emergency(ctx: Context, responder: Json) -> Json | None:
    """The Task of the emergency, as the caller may see it. Raises NotFound (404) and BusinessRule (422)."""
    parts = [key(one) for one in responder.get("partOf", ())]
    name = parts[0] if len(parts) == 1 else ""  # of more than one, the others would be judged by the first
    if not name.startswith("Task/"):
        raise BusinessRule("A responder's task is part of one emergency's.", expression=["Task.partOf"])
    stored = await api.current(ctx, "Task", name.partition("/")[2])
    if stored is None or stored.deleted:
        if ctx.principal.is_open:
            return None
        raise NotFound("There is no such emergency.", expression=["Task.partOf"])
    task: Json = stored.resource()
    if not is_state(task):
        raise BusinessRule("A responder's task is part of an emergency's.", expression=["Task.partOf"])
    return task


async def _complete(ctx: Context, unit: UnitOfWork, id_: str, task: Json, after: Json) -> None:
    """Whose it is and what it is about; one for each person. Raises Forbidden (403) and Conflict (409)."""
    made = _new(task, id_, ctx.principal.user)
    for name in ("intent", "priority", "focus", "for", "authoredOn", *(("owner",) if ctx.principal.user else ())):
        after.setdefault(name, made[name])
    after["priority"] = "stat"
    owner = key(after.get("owner"))
    if not is_unbound(ctx.principal) and owner != ctx.principal.user:
        raise Forbidden("Everybody answers for themselves.", expression=["Task.owner"])
    if not owner:
        raise BusinessRule("A responder's task says whose it is.", expression=["Task.owner"])
    for name in ("focus", "for"):
        if key(after[name]) != key(task[name]):
            raise BusinessRule(f"The {name} is that of the emergency.", expression=[f"Task.{name}"])
    guard = f"respond Task/{task['id']} {owner}"  # read before the search: two at once make one
    seen = await ctx.repository.guard(guard)
    for one in await responders(ctx, unit, task):
        if key(one.get("owner")) == owner and one["id"] != id_ and word(one) != "finished":
            raise Conflict(f"They answer already: Task/{one['id']} is {word(one)}.", code="duplicate")
    unit.guards[guard] = Guard(guard, seen)


def _new(task: Json, id_: str, user: str) -> Json:
    return {
        "resourceType": "Task",
        "id": id_,
        "partOf": [{"reference": f"Task/{task['id']}"}],
        "status": "requested",
        "intent": "order",
        "priority": "stat",
        "code": concept(RESPOND_TASK),
        "focus": task["focus"],
        "for": task["for"],
        "authoredOn": instant(),
        "owner": {"reference": user},
    }


def _keep(before: Json, after: Json) -> None:
    for name in _KEPT:
        if name in before and after.setdefault(name, before[name]) != before[name]:
            raise BusinessRule(f"The {name} of a response stays.", expression=[f"Task.{name}"])
    after["priority"] = "stat"


def _said(before: Json, after: Json) -> str:
    """How far they are by what was written: businessStatus where it is new, else what a new status means."""
    now = word(after)
    if now and now != word(before):
        return now
    if before and after.get("status") == before.get("status"):
        return word(before)
    status = str(after.get("status"))
    if status not in MEANS:
        raise BusinessRule(f"A response is {', '.join(MEANS)}, not {status}.", expression=["Task.status"])
    return MEANS[status] if word(before) not in COMING or status not in ("accepted", "in-progress") else word(before)


def _set(responder: Json, now: str) -> None:
    """Let all elements say how far they are."""
    period = dict(responder.get("executionPeriod", {}))
    if now in COMING:
        period = {"start": instant(), **{k: v for k, v in period.items() if k == "start"}}
    elif now in ("finished", "declined") and "start" in period:
        period.setdefault("end", instant())
    if period:
        responder["executionPeriod"] = period
    responder.update(status=STATUS[now], businessStatus=said(now), lastModified=instant())
