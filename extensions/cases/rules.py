"""What holds for every write of a case, by whichever door: docs/workflows/cases.md."""

from __future__ import annotations

from typing import Any

from fhir_server.access.principal import SYSTEM
from fhir_server.context import Context
from fhir_server.outcomes import BusinessRule, Conflict
from fhir_server.registry import rule
from fhir_server.storage.unit_of_work import UnitOfWork, Write
from workflow.making import instant
from workflow.people import find, key
from workflow.states import is_unbound, step

from .case import CASE_NUMBER, OPEN, is_case, numbers
from .numbers import numbered
from .states import TEAM, TRANSITIONS, history, period
from .workers import allow_worker, check_workers, since

Json = dict[str, Any]

PRIORITY = "http://terminology.hl7.org/CodeSystem/v3-ActPriority"
PRIORITIES = frozenset({"R", "UR", "EM"})
GUARDED = ("status", "diagnosis", "participant")  # what only those change who work on it
_OPEN_TASKS = "requested,received,accepted,ready,in-progress,on-hold"


@rule("Encounter")
async def case(ctx: Context, change: Write, unit: UnitOfWork) -> None:
    """States, who may, priority, number, participants; other Encounters are not bound."""
    base, after = change.base, change.resource
    before = base.resource() if base is not None and not base.deleted else {}
    if after is None:
        if is_case(before):
            await _refuse_while_open(ctx, before, unit)
    elif is_case(before):
        assert base is not None
        change.resource = await _changed(ctx, unit, before, after, base.created)
    elif is_case(after) and ctx.principal is not SYSTEM:  # what the server loads has its history behind it
        change.resource = await _opened(ctx, unit, after)


async def _opened(ctx: Context, unit: UnitOfWork, after: Json) -> Json:
    """A new case; services and administrators bring in old ones as they are."""
    if not is_unbound(ctx.principal):
        step(TRANSITIONS, "", after["status"], what="case", expression="Encounter.status")
        after = {name: value for name, value in after.items() if name != "statusHistory"}
    if not key(after.get("subject")).startswith("Patient/"):
        raise BusinessRule("A case is of a Patient of this server.", expression=["Encounter.subject"])
    _check_priority(after)
    now = instant()
    after = _with(after, participant=since({}, after, now), period=period({}, after, now))
    await check_workers(ctx, after, known=[])
    return await numbered(ctx, unit, after)


async def _changed(ctx: Context, unit: UnitOfWork, before: Json, after: Json, created: int) -> Json:
    """The case as the server keeps it; raises when it, or the caller, may not change so."""
    if not is_case(after):
        raise Conflict(
            "A case stays one: class, partOf and type.", expression=["Encounter.class"], code="business-rule"
        )
    # The server itself may: records of one patient that were kept under two are brought together.
    if key(after.get("subject")) != key(before.get("subject")) and ctx.principal is not SYSTEM:
        raise Conflict("A case stays its patient's.", expression=["Encounter.subject"], code="business-rule")
    now = instant()
    after = _with(
        await _same_number(ctx, unit, before, after),
        participant=since(before, after, now),
        period=period(before, after, now),
        statusHistory=history(before, after, created, now),
    )
    who = step(TRANSITIONS, before["status"], after["status"], what="case", expression="Encounter.status")
    if any(before.get(name) != after.get(name) for name in GUARDED):
        await allow_worker(ctx, before, who or TEAM)
    if "priority" in before or "priority" in after:
        _check_priority(after)
    await check_workers(ctx, after, known=[key(one.get("individual")) for one in before.get("participant", ())])
    return after


def _check_priority(case: Json) -> None:
    codings = case.get("priority", {}).get("coding", ())
    if not any(one.get("system") == PRIORITY and one.get("code") in PRIORITIES for one in codings):
        raise BusinessRule(f"The priority of a case is R, UR or EM of {PRIORITY}.", expression=["Encounter.priority"])


async def _refuse_while_open(ctx: Context, case: Json, unit: UnitOfWork) -> None:
    """Raise Conflict (409) while a consultation or a task of the case is open."""
    parts = await find(ctx, "Encounter", f"part-of=Encounter/{case['id']}")
    tasks = await find(ctx, "Task", f"encounter=Encounter/{case['id']}&status={_OPEN_TASKS}")
    left = [one for one in parts if one["status"] in {*OPEN, "arrived"}] + tasks
    if any(f"{one['resourceType']}/{one['id']}" not in unit.writes for one in left):
        raise Conflict(
            "The case has open consultations or tasks; end them first.",
            expression=["Encounter.status"],
            code="business-rule",
        )


async def _same_number(ctx: Context, unit: UnitOfWork, before: Json, after: Json) -> Json:
    """The case with the number that it has; raises Conflict (409) for another one, or for one more."""
    had, has = numbers(before), numbers(after)
    if has and not had:
        return await numbered(ctx, unit, after)
    if has and has != had:
        raise Conflict("A case keeps its number.", expression=["Encounter.identifier"], code="business-rule")
    if had and not has:
        kept = [one for one in before["identifier"] if one.get("system") == CASE_NUMBER]
        return {**after, "identifier": [*kept, *after.get("identifier", ())]}
    return after


def _with(case: Json, **elements: Any) -> Json:
    """The case with these elements; empty ones are none."""
    rest = {name: value for name, value in case.items() if name not in elements}
    return {**rest, **{name: value for name, value in elements.items() if value}}
