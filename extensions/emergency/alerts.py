"""The alerts of an emergency: one Communication for each person who is told, until the emergency is over."""

from __future__ import annotations

from extensions.emergency.circle import Told, on_duty
from extensions.emergency.ending import end_responders
from extensions.emergency.escalation import escalate
from extensions.emergency.inside import edit
from extensions.emergency.telling import alerts
from extensions.emergency.words import OPEN, content, is_active, is_emergency, task_id
from fhir_server.access.principal import SYSTEM
from fhir_server.change import Change
from fhir_server.context import Context
from fhir_server.registry import on_change
from fhir_server.storage.unit_of_work import UnitOfWork
from workflow.codes import ALERT, Json
from workflow.making import instant, make
from workflow.people import find, key, read

MAX_ALERTS = 5000  # unread alerts of one patient that are looked through


@on_change("Flag")
async def tell(ctx: Context, change: Change) -> None:
    """Alert who is on duty when an emergency begins; with nobody there, it is escalated at once.

    When it is over its unread alerts are taken back; a deleted one ends with its tasks.
    """
    before, after = content(change.before), content(change.after)
    if is_active(after) and not is_active(before):
        await _begin(ctx, change)
    elif is_active(before) and not is_active(after):
        if not is_emergency(after):
            await _delete(ctx, change.id)
        await _stop(ctx, before)


async def _begin(ctx: Context, change: Change) -> None:
    task = await read(ctx, {"reference": f"Task/{task_id(change.key)}"})
    flag = await ctx.repository.read(SYSTEM, "Flag", change.id)
    if task is None or flag is None or not is_active(content(flag)):
        return  # it is history, or over by now
    told: Told = await on_duty(ctx, flag)
    if told:
        await make(ctx, alerts(flag.resource(), told, task["authoredOn"]))
    else:
        await escalate(ctx, task["id"], at_once=True)


async def _stop(ctx: Context, flag: Json) -> None:
    """Nobody needs to read them any more: those that are unread are taken back (not-done)."""
    patient = key(flag["subject"]).partition("/")[2]
    query = f"patient={patient}&category={'|'.join(ALERT)}&status=in-progress"

    async def stop(one: Json, unit: UnitOfWork) -> Json | None:
        if one["status"] != "in-progress":
            return None
        return {**one, "status": "not-done", "statusReason": {"text": "The emergency is over."}}

    for one in await find(ctx, "Communication", query, limit=MAX_ALERTS):
        if f"Flag/{flag['id']}" in map(key, one.get("about", ())):
            await edit(ctx, f"Communication/{one['id']}", stop)


async def _delete(ctx: Context, id_: str) -> None:
    async def cancel(task: Json, unit: UnitOfWork) -> Json | None:
        if task["status"] not in OPEN:
            return None
        await end_responders(ctx, unit, task, "cancelled")
        return {**task, "status": "cancelled", "lastModified": instant()}

    await edit(ctx, f"Task/{task_id(f'Flag/{id_}')}", cancel)
