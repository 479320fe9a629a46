"""https://hl7.org/fhir/R4/http.html#delete · https://hl7.org/fhir/R4/http.html#cdelete"""

from __future__ import annotations

from fhir_server import api, auditing
from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.outcomes import Conflict, MultipleMatches, PreconditionFailed
from fhir_server.registry import interaction
from fhir_server.storage.stored import Stored
from fhir_server.storage.unit_of_work import Lost, UnitOfWork, Write


@interaction("delete")
async def delete(ctx: Context, request: FhirRequest) -> FhirResponse:
    """Deleted for reads and searches; its history stays. What is not there needs no deletion: 204 too."""
    assert request.type
    if request.id is None:
        return await _conditional(ctx, request)
    base = await api.base(ctx, request.type, request.id, "d")
    exact = api.check_if_match(request, base)
    if base is None or base.deleted:
        return FhirResponse(204, version=base.version if base else None)
    write = Write("DELETE", request.type, request.id, None, base, exact=True)
    while True:
        try:
            await api.write(ctx, write)
        except Lost as lost:
            if exact:
                raise PreconditionFailed("The resource changed meanwhile.") from None
            if lost.key != write.key:
                continue  # what the rules of the type write with it
            if lost.current is None or lost.current.deleted:
                return FhirResponse(204)
            write.base = lost.current
            continue
        return FhirResponse(204, write=write)


async def _conditional(ctx: Context, request: FhirRequest) -> FhirResponse:
    """Delete the one resource that fits; several only where the server is set to, all of them or none."""
    assert request.type
    limit = ctx.settings.max_bundle_entries if ctx.settings.multiple_delete else 2
    criterion = api.criterion_of(request)
    found = await api.find_matches(ctx, request.type, criterion, limit=limit)
    if len(found) > 1 and not ctx.settings.multiple_delete:
        raise MultipleMatches("The condition fits more than one resource, and none was deleted.")
    try:
        await _delete_all(ctx, found)
    except Lost:
        raise Conflict("A resource that fits the condition changed meanwhile; try again.") from None
    return FhirResponse(204)


async def _delete_all(ctx: Context, found: list[Stored]) -> None:
    unit = ctx.unit or UnitOfWork()
    for stored in found:
        write = Write("DELETE", stored.type, stored.id, None, stored, exact=True)
        await api.admit(ctx, write, unit)
        unit.add(write)
        auditing.of_write(ctx, unit, write)
    if ctx.unit is None:
        await ctx.repository.commit(unit)
