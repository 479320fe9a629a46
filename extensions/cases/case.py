"""What a case is, and who works on it: ig/input/fsh/case.fsh, https://hl7.org/fhir/R4/encounter.html"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from fhir_server.context import Context
from fhir_server.search.types.date import micros, period
from workflow.codes import ACT_CODE, GUIDE
from workflow.making import id_for
from workflow.people import key, names, read

Json = dict[str, Any]

CONSULTATION_TYPE = f"{GUIDE}/CodeSystem/consultation-type"
CASE_NUMBER = f"{GUIDE}/sid/case-number"
OPEN = frozenset({"planned", "triaged", "in-progress", "onleave"})  # there is work to do


def is_case(resource: Json) -> bool:
    """Whether an Encounter is a case: virtual, part of no other, and no consultation by its type."""
    kind = resource.get("class", {})
    types = {one.get("system") for concept in resource.get("type", ()) for one in concept.get("coding", ())}
    is_virtual = kind.get("system") == ACT_CODE and kind.get("code") == "VR"
    return is_virtual and "partOf" not in resource and CONSULTATION_TYPE not in types


def current(parts: Iterable[Json], name: str) -> list[str]:
    """Who takes part now, by the references under `name` ("individual", "member"): "Practitioner/1", in order."""
    now = micros(datetime.now(UTC))
    there = [one for one in parts if "end" not in (span := one.get("period", {})) or period(span["end"])[1] >= now]
    return list(dict.fromkeys(found for one in there if (found := key(one.get(name)))))


def assigned(case: Json) -> list[str]:
    """Who works on the case now: "Practitioner/1", "PractitionerRole/2"."""
    return current(case.get("participant", ()), "individual")


def numbers(case: Json) -> list[str]:
    """The case number: there is one, or none yet."""
    return [one.get("value", "") for one in case.get("identifier", ()) if one.get("system") == CASE_NUMBER]


def team_id(case_id: str) -> str:
    """The id of the case's CareTeam."""
    return id_for("case", case_id, "team")


def is_team_of(team: Json | None, case: Json) -> bool:
    """Whether the CareTeam under the team's id is the case's: anybody might have written one there."""
    if team is None:
        return False
    return key(team.get("encounter")) == f"Encounter/{case['id']}" and key(team.get("subject")) == key(case["subject"])


async def is_member(ctx: Context, case: Json) -> bool:
    """Whether the caller works on the case: in person, by a role, or as a member of its CareTeam."""
    mine = names(ctx.principal)
    if not mine.isdisjoint(assigned(case)):
        return True
    team = f"CareTeam/{team_id(case['id'])}"
    return team in mine and is_team_of(await read(ctx, {"reference": team}), case)
