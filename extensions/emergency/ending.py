"""Who may end an emergency, and what ends with it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from extensions.emergency.inside import responders, store, task_of
from extensions.emergency.words import COMING, OPEN, said, word
from fhir_server.context import Context
from fhir_server.outcomes import Conflict
from fhir_server.storage.unit_of_work import UnitOfWork
from workflow.codes import Json
from workflow.making import instant
from workflow.people import is_me, key, names, read
from workflow.states import is_unbound

ENDERS = ("responder", "author", "team of the case")
CANCELLERS = (*ENDERS, "patient who raised it")
_OUTSIDERS = ("Patient/", "RelatedPerson/")


async def roles_in(ctx: Context, unit: UnitOfWork, flag: Json, task: Json | None) -> Mapping[str, bool]:
    """What the caller is to an emergency, as the state tables call it."""
    principal = ctx.principal
    if is_unbound(principal):
        return {}
    outsider = principal.user.startswith(_OUTSIDERS)
    found = await responders(ctx, unit, task) if task is not None else []
    case = await read(ctx, flag.get("encounter")) or {}
    team = [one.get("individual") for one in case.get("participant", ())]
    return {
        "responder": any(is_me(principal, one.get("owner")) and word(one) != "declined" for one in found),
        "author": not outsider and is_me(principal, flag.get("author")),
        "team of the case": not outsider and any(is_me(principal, one) for one in team),
        "patient who raised it": outsider and key(flag.get("author")) in names(principal),
    }


def check_alone(ctx: Context, who: Mapping[str, bool], task: Json | None) -> None:
    """Raise Conflict (409) when a patient takes back what somebody has answered already."""
    if who.get("patient who raised it") and task is not None and task["status"] not in ("requested", "cancelled"):
        raise Conflict(
            f"The emergency is {task['status']}: who answers it also ends it.",
            expression=["Flag.status"],
            code="business-rule",
        )


async def end_tasks(ctx: Context, unit: UnitOfWork, flag: Json) -> None:
    """With the Flag over, its Task and those of its responders end in the same transaction."""
    task = await task_of(ctx, unit, flag)
    if task is None or task["status"] not in OPEN:
        return
    ended = "completed" if flag["status"] == "inactive" else "cancelled"
    await store(ctx, unit, {**task, "status": ended, "lastModified": instant()})
    await end_responders(ctx, unit, task, ended)


async def end_responders(ctx: Context, unit: UnitOfWork, task: Json, ended: str) -> None:
    """Those who were coming have finished, or need not come any more; those who were asked are asked no longer."""
    for one in await responders(ctx, unit, task):
        if one["status"] in OPEN:
            await store(ctx, unit, ended_responder(one, ended))


def ended_responder(responder: Json, ended: str) -> Json:
    """A responder's Task when the emergency is over."""
    if ended == "cancelled" or word(responder) not in COMING:
        return {**responder, "status": "cancelled", "lastModified": instant()}
    period = {**responder.get("executionPeriod", {}), "end": instant()}
    return {
        **responder,
        "status": "completed",
        "businessStatus": said("finished"),
        "executionPeriod": period,
        "lastModified": instant(),
    }


def ended_flag(flag: Json, status: str) -> Json:
    """A Flag that is over: inactive, or entered-in-error."""
    period = {"end": instant(datetime.now(UTC)), **flag.get("period", {})}
    return {**flag, "status": status, "period": period}
