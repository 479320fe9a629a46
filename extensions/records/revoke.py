"""DocumentReference/$revoke: http://fhir-server.example/ig/OperationDefinition/revoke"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from extensions.records.asking import caller_may, collection, record_of
from extensions.records.ending import end
from extensions.records.owners import decides, gave, owns
from extensions.records.shares import RECORD, actors, here, hold, shares_of
from fhir_server import json
from fhir_server.access.visibility import condition
from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.definitions import OperationParameter
from fhir_server.operations.input import read
from fhir_server.outcomes import Conflict, Forbidden
from fhir_server.registry import operation
from fhir_server.storage.unit_of_work import Lost, UnitOfWork
from workflow.codes import GUIDE
from workflow.making import as_server
from workflow.people import find, persons

Json = dict[str, Any]
ATTEMPTS = 10

PARAMETERS = (OperationParameter("actor", "in", max=None, type="Reference"),)


@operation(
    "revoke", instances=("DocumentReference",), affects_state=True, definition=f"{GUIDE}/OperationDefinition/revoke"
)
async def revoke(ctx: Context, request: FhirRequest) -> FhirResponse:
    """End what a record is shared by, for some actors or for all, and what those have passed on; all or nothing.

    Owners, the patient, administrators and privacy officers end every share, others those that they gave. The answer
    is a collection of the Consents that this call has changed: none, when there was nothing left to end.
    """
    given = read(request, PARAMETERS)
    caller_may(ctx, "u")
    record = await record_of(ctx, request)
    whom = frozenset(here(ctx, one) for one in given.all("actor")) if given.all("actor") else None
    for attempt in range(ATTEMPTS):
        async with ctx.repository.turns.of(f"{RECORD}/{record['id']}", attempt):
            unit = UnitOfWork()
            try:
                await _end(ctx, unit, record, whom)
                if unit.writes:
                    await ctx.repository.commit(unit)
            except Lost:
                continue
            return FhirResponse(resource=collection(ctx, [json.decode(one.text) for one in unit.writes.values()]))
    raise Conflict("The record is being shared too often at the moment; try again.")


async def _end(ctx: Context, unit: UnitOfWork, record: Json, whom: frozenset[str] | None) -> None:
    """End the shares within the unit; Forbidden (403) when the caller may end none that there is or was."""
    key = f"{RECORD}/{record['id']}"
    await hold(ctx, unit, key)
    there = await shares_of(ctx, record)
    owner = owns(ctx, record)
    # Who decides is bound by the role policy; the right of others is judged here, and is none to write any Consent.
    writer = ctx if decides(ctx, record) and not owner else as_server(ctx)
    if writer is ctx and condition(ctx.principal, "Consent", "u") is None:
        raise Forbidden("The caller's role changes no Consents.")
    if writer is not ctx and not owner:
        if not await find(ctx, "Consent", f"data={key}&consentor={ctx.principal.user}", limit=1):
            raise Forbidden("Only its owner, the patient, or who shared it ends what a record is shared by.")
        there = [row for row in there if gave(ctx, row.resource())]
    ended = set(whom or ())
    for row in there:
        named = actors(ctx, row.resource()["provision"])
        ended |= named if whom is None else set()
        for actor in [""] if whom is None else sorted(named & whom):
            await end(writer, unit, row, actor)
    await _end_passed_on(writer, unit, record, ended)


async def _end_passed_on(ctx: Context, unit: UnitOfWork, record: Json, whom: set[str]) -> None:
    """End what these gave by what was given to them, and so on; what an owner gave stays."""
    owners = set(await persons(ctx, [*record.get("author", ()), record.get("custodian")]))
    waiting, seen = set(whom), set[str]()
    while waiting:
        seen |= waiting
        people = set(await persons(ctx, [{"reference": one} for one in sorted(waiting)])) - owners
        waiting = set()
        for row in await shares_of(replace(ctx, unit=unit), record):
            consent = row.resource()
            if people.isdisjoint(here(ctx, one) for one in consent.get("performer", ())):
                continue
            waiting |= actors(ctx, consent["provision"]) - seen
            await end(ctx, unit, row)
