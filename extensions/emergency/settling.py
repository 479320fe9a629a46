"""What responders did at the same moment is put in order: who comes too late is told, and who alone came is missed."""

from __future__ import annotations

from datetime import UTC, datetime

from extensions.emergency.ending import ended_responder
from extensions.emergency.inside import edit, is_state, responders, within
from extensions.emergency.responder import accepted
from extensions.emergency.words import COMING, OPEN, word
from fhir_server.change import Change
from fhir_server.context import Context
from fhir_server.registry import on_change
from fhir_server.storage.unit_of_work import UnitOfWork
from workflow.codes import RESPOND_TASK, Json, has_code
from workflow.making import instant
from workflow.people import key, read


@on_change("Task")
async def settle(ctx: Context, change: Change) -> None:
    """See that an emergency's Task fits its responders'.

    An accepted emergency to which nobody comes any more is requested again, and due to be escalated. A response that
    was accepted while the emergency ended ends, too.
    """
    part = change.before if change.after.deleted else change.after
    if part is None or not has_code(part.resource().get("code"), RESPOND_TASK):
        return
    name = next((key(one) for one in part.resource().get("partOf", ())), "")

    async def fit(task: Json, unit: UnitOfWork) -> Json | None:
        return _fitting(task, await responders(ctx, unit, task)) if is_state(task) else None

    await edit(ctx, name, fit)
    task = await read(within(ctx, UnitOfWork()), {"reference": name})
    if task is not None and is_state(task) and task["status"] not in OPEN:
        await _send_back(ctx, task)


def _fitting(task: Json, found: list[Json]) -> Json | None:
    """The emergency's Task as it must be by what its responders are; None when it is so."""
    coming = [one for one in found if word(one) in COMING]
    if task["status"] == "requested" and coming:
        return accepted(task, max(coming, key=lambda one: COMING.index(word(one))))
    left = any(word(one) == "declined" for one in found) and all(word(one) != "finished" for one in found)
    if task["status"] != "accepted" or coming or not left:
        return None
    now = instant(datetime.now(UTC))
    kept = {name: value for name, value in task.items() if name not in ("owner", "businessStatus")}
    return {**kept, "status": "requested", "restriction": {"period": {"end": now}}, "lastModified": now}


async def _send_back(ctx: Context, task: Json) -> None:
    async def end(one: Json, unit: UnitOfWork) -> Json | None:
        return ended_responder(one, task["status"]) if one["status"] in OPEN else None

    for one in await responders(ctx, UnitOfWork(), task):
        if one["status"] in OPEN:
            await edit(ctx, f"Task/{one['id']}", end)
