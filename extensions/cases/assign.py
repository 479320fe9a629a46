"""Encounter/$assign: workers join a case and its CareTeam in one step. The guide's OperationDefinition `assign`.

Written as the caller: nobody gives care that is not theirs to give (docs/access.md, "Writing").
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fhir_server import api, json
from fhir_server.access.principal import SYSTEM
from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.definitions import OperationParameter
from fhir_server.operations.input import read
from fhir_server.outcomes import BusinessRule, Conflict, MethodNotAllowed
from fhir_server.registry import operation
from fhir_server.storage.stored import Stored
from fhir_server.storage.unit_of_work import Lost, UnitOfWork, Write
from workflow.codes import GUIDE
from workflow.making import instant
from workflow.people import key

from .case import OPEN, assigned, is_case, team_id
from .team import begun, check_open, joined
from .workers import allow_worker, check_worker

Json = dict[str, Any]

PARAMETERS = (
    OperationParameter("practitioner", "in", min=1, max=None, type="Reference"),
    OperationParameter("role", "in", type="CodeableConcept"),
)
TRIES = 10


@operation("assign", instances=("Encounter",), affects_state=True, definition=f"{GUIDE}/OperationDefinition/assign")
async def assign(ctx: Context, request: FhirRequest) -> FhirResponse:
    """Add practitioners to a case and its CareTeam; who is there already stays as they are."""
    given = read(request, PARAMETERS)
    if ctx.unit is not None:
        raise MethodNotAllowed("$assign takes effect by itself, not as part of a transaction.")
    for one in given.all("practitioner"):
        await check_worker(ctx, one, "practitioner")
    wanted = list(dict.fromkeys(key(one) for one in given.all("practitioner")))
    for attempt in range(TRIES):
        async with ctx.repository.turns.of("/".join(request.instance()), attempt):
            found = await _case(ctx, *request.instance())
            unit = UnitOfWork()
            now = [await _write(ctx, unit, *pair) for pair in await _decide(ctx, found, wanted, given.one("role"))]
            try:
                await ctx.repository.commit(unit)
            except Lost:  # somebody else assigns at this moment: on top of theirs
                continue
            return FhirResponse(resource=_collection(ctx, [_as_stored(one) for one in now]))
    raise Conflict("The case is being changed too often; try again.")


async def _case(ctx: Context, type_: str, id_: str) -> Stored:
    """The case, open and the caller's to assign to; raises what is in the way."""
    stored = api.there(await api.base(ctx, type_, id_), "Encounter")
    case = stored.resource()
    if not is_case(case):
        raise BusinessRule("This Encounter is no case.", expression=["Encounter.class"])
    await allow_worker(ctx, case)
    if case["status"] not in OPEN:
        raise Conflict(f"The case is {case['status']}: nobody is assigned to it any more.", code="business-rule")
    return stored


async def _decide(
    ctx: Context, found: Stored, wanted: list[str], role: Json | None
) -> list[tuple[Stored | None, Json | None, Json]]:
    """The case and its team: what is stored of each, that content, and what it is to be."""
    case, now = found.resource(), instant()
    newly = [who for who in wanted if who not in assigned(case)]
    part: Json = {"type": [role]} if role else {}
    new = [{**part, "period": {"start": now}, "individual": {"reference": who}} for who in newly]
    after = {**case, "participant": [*case.get("participant", ()), *new]} if new else case
    if new and case["status"] == "planned":
        after = {**after, "status": "triaged"}
    stored = await ctx.repository.read(SYSTEM, "CareTeam", team_id(found.id))
    team = stored.resource() if stored is not None and not stored.deleted else None
    if team is not None:
        check_open(team, case)
    there = team if team is not None else begun(case, now)
    return [(found, case, after), (stored, team, joined(there, newly, wanted, role, now))]


async def _write(
    ctx: Context, unit: UnitOfWork, stored: Stored | None, before: Json | None, after: Json
) -> Stored | Write:
    if stored is not None and after == before:
        return stored
    write = Write("PUT", after["resourceType"], after["id"], after, stored, exact=True)
    await api.write(replace(ctx, unit=unit), write)
    return write


def _as_stored(one: Stored | Write) -> Json:
    resource: Json = json.decode(one.text)
    return resource


def _collection(ctx: Context, resources: list[Json]) -> Json:
    entries = [{"fullUrl": f"{ctx.base_url}/{one['resourceType']}/{one['id']}", "resource": one} for one in resources]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}
