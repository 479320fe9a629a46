"""Who works on a case: who that can be, since when, and what only they may do."""

from __future__ import annotations

from typing import Any

from fhir_server.context import Context
from fhir_server.outcomes import BusinessRule
from workflow.people import key, read
from workflow.states import allow, is_unbound

from .case import assigned, is_member
from .states import TEAM

Json = dict[str, Any]

WORKERS = ("Practitioner/", "PractitionerRole/")


async def allow_worker(ctx: Context, case: Json, who: tuple[str, ...] = TEAM) -> None:
    """Raise Forbidden (403) unless the caller works on the case, or nobody does."""
    if not is_unbound(ctx.principal):
        allow(ctx.principal, who, {"team": not assigned(case) or await is_member(ctx, case)}, what="case")


async def check_workers(ctx: Context, case: Json, known: list[str]) -> None:
    """Raise BusinessRule (422) unless each participant is somebody who works here; `known` are looked at no more."""
    for index, one in enumerate(case.get("participant", ())):
        who = key(one.get("individual"))
        if who not in known:
            await check_worker(ctx, one.get("individual"), f"Encounter.participant[{index}].individual")


async def check_worker(ctx: Context, reference: Json | None, expression: str) -> None:
    """Raise BusinessRule (422) unless it is a Practitioner or PractitionerRole that is there and active."""
    found = await read(ctx, reference) if key(reference).startswith(WORKERS) else None
    if found is None or found.get("active") is False:
        raise BusinessRule(
            "Who works on a case is an active Practitioner or PractitionerRole of this server.", expression=[expression]
        )


def since(before: Json, after: Json, now: str) -> list[Json]:
    """The participants, each with the beginning of their part: as it was, or now."""
    starts = {key(one.get("individual")): one.get("period", {}).get("start") for one in before.get("participant", ())}
    return [
        {**one, "period": {"start": starts.get(key(one.get("individual"))) or now, **one.get("period", {})}}
        for one in after.get("participant", ())
    ]
