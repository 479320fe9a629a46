"""The Flag of an emergency: who may post and end it, what stays, and the Task that comes with it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from extensions.emergency.ending import CANCELLERS, ENDERS, check_alone, end_tasks, ended_flag, roles_in
from extensions.emergency.few import check_few
from extensions.emergency.inside import OURS, store, task_of
from extensions.emergency.words import (
    OPEN,
    PRIORITY,
    content,
    deadline,
    due,
    is_active,
    is_emergency,
    place,
    priority_extension,
    task_id,
)
from fhir_server.access import Principal
from fhir_server.context import Context
from fhir_server.outcomes import BusinessRule, Forbidden
from fhir_server.registry import rule
from fhir_server.storage.unit_of_work import UnitOfWork, Write
from workflow.codes import EMERGENCY_TASK, Json, concept, sealed_as
from workflow.making import instant
from workflow.people import is_me, key
from workflow.states import Transitions, allow, is_unbound, step

TRANSITIONS: Transitions = {
    "": {"active": (), "inactive": ("administrator",), "entered-in-error": ("administrator",)},
    "active": {"inactive": ENDERS, "entered-in-error": CANCELLERS},
    "inactive": {"entered-in-error": ENDERS},
    "entered-in-error": {},
}
PAST = timedelta(days=1)  # what began before is history, and alerts nobody
_AUTHORS = ("Practitioner/", "PractitionerRole/", "Patient/", "Organization/", "Device/")


@rule("Flag")
async def emergency(ctx: Context, change: Write, unit: UnitOfWork) -> None:
    """Hold the state table of emergencies, and write what follows from a Flag with it."""
    before, after = content(change.base), change.resource
    if after is None or ctx.principal is OURS or not (is_emergency(before) or is_emergency(after)):
        return  # what is deleted is followed by alerts.py
    change.resource = after = dict(after)
    before = before if is_emergency(before) else {}  # a flag that becomes an emergency begins as one
    if before:
        _keep(before, after)
    else:
        _complete(ctx.principal, after)
    task = await task_of(ctx, unit, {"id": change.id}) if before else None
    status = str(after.get("status"))
    who = step(TRANSITIONS, before.get("status", ""), status, what="emergency", expression="Flag.status")
    if before and key(before.get("encounter")) != key(after.get("encounter")):
        who = who or ENDERS  # its case says who else may end it
    if who:
        are = await roles_in(ctx, unit, before, task) if before else {}
        allow(ctx.principal, who, are, what="emergency")
        check_alone(ctx, are, task)
    if status == "active" and after["period"].get("end") and (before or not ctx.principal.is_open):
        raise BusinessRule("An active emergency has no end yet.", expression=["Flag.period.end"])
    if not before and status == "active" and not _is_history(ctx.principal, after):
        await check_few(ctx, unit)
        await store(ctx, unit, _task(ctx, f"Flag/{change.id}", after))
    elif is_active(before) and status != "active":
        after.update(ended_flag(after, status))
        await end_tasks(ctx, unit, {**after, "id": change.id})
    elif status == "active" and task is not None:
        await _follow(ctx, unit, before, after, task)


def _complete(principal: Principal, flag: Json) -> None:
    """What a new one says of itself: its patient, author, beginning and priority."""
    if not key(flag.get("subject")).startswith("Patient/"):
        raise BusinessRule("An emergency is a patient's.", expression=["Flag.subject"])
    if flag.get("author") is None and principal.user.startswith(_AUTHORS):
        flag["author"] = {"reference": principal.user}
    if not is_unbound(principal) and flag.get("author") and not is_me(principal, flag["author"]):
        raise Forbidden("The author of an emergency is who posts it.", expression=["Flag.author"])
    flag["period"] = {"start": instant(), **flag.get("period", {})}
    if not any(one.get("url") == PRIORITY for one in flag.get("extension", ())):
        flag["extension"] = [*flag.get("extension", ()), priority_extension("PH")]


def _keep(before: Json, after: Json) -> None:
    """Whose it is, who posted it, when it began and ended stay as they are; what is left out is put back."""
    if not is_emergency(after):
        raise BusinessRule("An emergency stays one: end it instead.", expression=["Flag.category"])
    if "author" in before:
        after.setdefault("author", before["author"])
    old = before["period"]
    new = after["period"] = {**old, **after.get("period", {})}
    kept = {
        "subject": key(before.get("subject")) == key(after.get("subject")),
        "author": key(before.get("author")) == key(after.get("author")),
        "period.start": old.get("start") == new.get("start"),
        "period.end": "end" not in old or old["end"] == new["end"],
    }
    for name, same in kept.items():
        if not same:
            raise BusinessRule(f"The {name} of an emergency stays.", expression=[f"Flag.{name}"])


def _is_history(principal: Principal, flag: Json) -> bool:
    """Whether it is an old one that is loaded. Raises BusinessRule (422) when somebody posts it as new."""
    start = str(flag["period"]["start"])
    if start[:10] >= (datetime.now(UTC) - PAST).date().isoformat():
        return False
    if not principal.is_open:
        raise BusinessRule("An emergency begins now, not days ago.", expression=["Flag.period.start"])
    return True


def _task(ctx: Context, flag: str, content: Json) -> Json:
    """What carries the state, the guide's emergency-task: https://hl7.org/fhir/R4/task.html"""
    now = datetime.now(UTC)
    task: Json = {
        "resourceType": "Task",
        "id": task_id(flag),
        "status": "requested",
        "intent": "order",
        "priority": "stat",
        "code": concept(EMERGENCY_TASK),
        "focus": {"reference": flag},
        "for": {"reference": content["subject"]["reference"]},
        "authoredOn": instant(now),
        "lastModified": instant(now),
        "requester": content.get("author") or {"display": ctx.principal.name},
        "restriction": {"period": {"end": instant(deadline(content, ctx.settings.emergency_minutes, now))}},
    }
    if "encounter" in content:
        task["encounter"] = content["encounter"]
    return sealed_as(_placed(task, content), content)


def _placed(task: Json, flag: Json) -> Json:
    """The Task with the place that the Flag tells; a position that the Flag contains is contained in it as well."""
    location, contained = place(flag)
    if location is None:
        return task
    return {**task, "location": location, **({"contained": [contained]} if contained else {})}


async def _follow(ctx: Context, unit: UnitOfWork, before: Json, flag: Json, task: Json) -> None:
    """Take over a new position, and an earlier deadline when the priority rose."""
    if task["status"] not in OPEN:
        return
    wanted = _placed(task, flag) if place(flag) != place(before) else task
    sooner = deadline(flag, ctx.settings.emergency_minutes, datetime.now(UTC))
    if task["status"] == "requested" and sooner < due(task):
        wanted = {**wanted, "restriction": {"period": {"end": instant(sooner)}}}
    wanted = sealed_as(wanted, flag)
    if wanted != task:
        await store(ctx, unit, wanted)
