"""The case's CareTeam, which opens the patient's record to those who are assigned: docs/access.md, "Writing".

https://hl7.org/fhir/R4/careteam.html
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from fhir_server.access.principal import SYSTEM
from fhir_server.change import Change
from fhir_server.context import Context
from fhir_server.outcomes import Conflict
from fhir_server.registry import on_change, rule
from fhir_server.storage.unit_of_work import UnitOfWork, Write
from workflow.making import change as change_resource
from workflow.making import instant, reference
from workflow.people import key, read
from workflow.states import is_unbound

from .case import assigned, current, is_case, is_team_of, team_id
from .workers import allow_worker

Json = dict[str, Any]
_MEMBERS = ("status", "subject", "encounter", "period", "participant")


def begun(case: Json, now: str) -> Json:
    """A team with nobody in it yet, labelled as the case is."""
    labels = case.get("meta", {}).get("security")
    return {
        "resourceType": "CareTeam",
        "id": team_id(case["id"]),
        **({"meta": {"security": labels}} if labels else {}),
        "status": "active",
        "subject": {"reference": key(case["subject"])},
        "encounter": reference(case),
        "period": {"start": now},
    }


def joined(team: Json, newly: Collection[str], wanted: Collection[str], role: Json | None, now: str) -> Json:
    """The team with those who are wanted; who is `newly` on the case begins anew, others stay as they are.

    So a removal that the server has yet to follow (`follow`) meets another version of the team, and looks again.
    """
    kept = [one for one in team.get("participant", ()) if key(one.get("member")) not in newly]
    there = current(kept, "member")
    part: Json = {"role": [role]} if role else {}
    new = [{**part, "member": {"reference": who}, "period": {"start": now}} for who in wanted if who not in there]
    return {**team, "participant": [*kept, *new]} if new else team


def check_open(team: Json, case: Json) -> None:
    """Raise Conflict (409) when nobody can join: the team was ended, or is another's."""
    if not is_team_of(team, case) or team.get("status") != "active":
        raise Conflict("The case's CareTeam is not active.", expression=["CareTeam.status"], code="business-rule")


@rule("CareTeam")
async def of_a_case(ctx: Context, change: Write, unit: UnitOfWork) -> None:
    """Who is on the team of a case may change the case: only who works on it says who that is."""
    before = change.base.resource() if change.base is not None and not change.base.deleted else {}
    after = change.resource or {}
    if is_unbound(ctx.principal) or all(before.get(name) == after.get(name) for name in _MEMBERS):
        return
    for team in (before, after):
        type_, _, id_ = key(team.get("encounter")).partition("/")
        if type_ != "Encounter" or change.id != team_id(id_):
            continue
        # As it was before: whoever opens one says with it who works on it.
        stored = await ctx.repository.read(SYSTEM, type_, id_)
        if stored is not None and not stored.deleted and is_case(stored.resource()):
            await allow_worker(ctx, stored.resource())


@on_change("Encounter")
async def follow(ctx: Context, change: Change) -> None:
    """Who is taken off a case is taken off its team; without the case there is no team in force."""
    before = change.before.resource() if change.before is not None and not change.before.deleted else {}
    if not is_case(before):
        return
    left = set(assigned(before))

    async def edit(team: Json) -> Json | None:
        # The case is read after its team: whoever is assigned again since has changed the team as well.
        case = await read(ctx, {"reference": change.key}) or {"status": "entered-in-error"}
        if not is_team_of(team, before) or team["status"] != "active":
            return None
        now = instant()
        if case["status"] == "entered-in-error":
            return {**team, "status": "inactive", "period": {**team.get("period", {}), "end": now}}
        gone = left.difference(assigned(case)).intersection(current(team.get("participant", ()), "member"))
        members = [_ended(one, now) if key(one["member"]) in gone else one for one in team.get("participant", ())]
        return {**team, "participant": members} if gone else None

    await change_resource(ctx, "CareTeam", team_id(change.id), edit)


def _ended(part: Json, now: str) -> Json:
    span = part.get("period", {})
    return part if "end" in span else {**part, "period": {**span, "end": now}}
