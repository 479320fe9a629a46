"""An emergency that nobody has answered by its deadline is told to everybody: LEVELS times, each exactly once."""

from __future__ import annotations

from datetime import UTC, datetime

import structlog

from extensions.emergency.circle import everybody
from extensions.emergency.inside import edit, within
from extensions.emergency.telling import alerts
from extensions.emergency.words import ESCALATION, LEVELS, content, deadline, due, is_active, level
from fhir_server import api
from fhir_server.access.principal import SYSTEM
from fhir_server.context import Context
from fhir_server.outcomes import FhirError
from fhir_server.registry import scheduled
from fhir_server.storage.unit_of_work import Lost, UnitOfWork, Write
from workflow.codes import EMERGENCY_TASK, Json, concept
from workflow.making import instant
from workflow.people import find, key

log = structlog.get_logger(__name__)

MAX_WAITING = 1000  # unanswered emergencies that are looked at in one turn


@scheduled(seconds=1)
async def escalate_overdue(ctx: Context) -> None:
    """Escalate every emergency whose deadline has passed."""
    query = f"code={'|'.join(EMERGENCY_TASK)}&status=requested&business-status:not={ESCALATION}|{LEVELS}"
    now = datetime.now(UTC)
    for task in await find(ctx, "Task", query, limit=MAX_WAITING):
        if due(task) <= now:
            try:
                await escalate(ctx, task["id"])
            except (FhirError, Lost) as error:  # the others wait, too; this one has its next turn
                log.warning("an emergency could not be escalated", exception=type(error).__name__)


async def escalate(ctx: Context, id_: str, *, at_once: bool = False) -> bool:
    """Tell everybody, if it is due by now; whether it was. `at_once`: although the first deadline has not come.

    Level, new deadline and alerts are one transaction, written on top of what was read: two who try make one of it.
    """

    async def raised(task: Json, unit: UnitOfWork) -> Json | None:
        now, reached = datetime.now(UTC), level(task) + 1
        is_due = due(task) <= now or (at_once and reached == 1)
        flag = await ctx.repository.read(SYSTEM, "Flag", key(task.get("focus")).partition("/")[2])
        if task["status"] != "requested" or not is_due or reached > LEVELS or flag is None:
            return None
        if not is_active(content(flag)):
            return None
        told = alerts(flag.resource(), await everybody(ctx, flag), task["restriction"]["period"]["end"], reached)
        for one in told:
            await api.write(within(ctx, unit), Write("PUT", "Communication", one["id"], one, exact=True))
        until = deadline(flag.resource(), ctx.settings.emergency_minutes, now)
        return {
            **task,
            "businessStatus": concept((ESCALATION, str(reached)), text=f"Escalated, {reached} of {LEVELS}"),
            "restriction": {"period": {"end": instant(until)}},
            "note": [*task.get("note", ()), {"time": instant(now), "text": "Nobody had answered by the deadline."}],
            "lastModified": instant(now),
        }

    return await edit(ctx, f"Task/{id_}", raised)
