"""https://hl7.org/fhir/R4/http.html#create · https://hl7.org/fhir/R4/http.html#ccreate"""

from __future__ import annotations

import uuid

from fhir_server import api
from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.interactions.content import identify, resource_of
from fhir_server.outcomes import Conflict, operation_outcome
from fhir_server.registry import interaction
from fhir_server.storage.stored import Stored
from fhir_server.storage.unit_of_work import Guard, Lost, Write

ATTEMPTS = 10


@interaction("create")
async def create(ctx: Context, request: FhirRequest) -> FhirResponse:
    """A new resource under an id of the server's; with If-None-Exist only when nothing fits the criterion."""
    assert request.type
    resource = identify(resource_of(request), request.assigned_id or str(uuid.uuid4()))
    await api.check(ctx, resource, expect_type=request.type)
    for attempt in range(ATTEMPTS):
        async with ctx.repository.turns.of(f"{request.type}?{request.if_none_exist or ''}", attempt):
            guard = None
            if request.if_none_exist is not None:
                match = await api.match(ctx, request.type, request.if_none_exist)
                if match.stored is not None:
                    return existing(request, match.stored)
                guard = match.guard
            try:
                return await _insert(ctx, request, Write("POST", request.type, resource["id"], resource), guard)
            except Lost:
                continue  # someone else created it meanwhile, or what a rule made of it: now theirs is found
    raise Conflict("The create was overtaken too often; try again.")


async def _insert(ctx: Context, request: FhirRequest, write: Write, guard: Guard | None = None) -> FhirResponse:
    await api.write(ctx, write, guard)
    return FhirResponse(201, write=write)


def existing(request: FhirRequest, stored: Stored) -> FhirResponse:
    """The answer to a conditional create that found its resource: 200, nothing written."""
    response = FhirResponse(
        200,
        version=stored.version,
        last_modified=stored.last_modified(),
        location=f"{stored.key}/_history/{stored.version}",
    )
    if request.prefer_return == "OperationOutcome":
        response.resource = operation_outcome([])
    elif request.prefer_return != "minimal":
        response.text = stored.text.encode() if stored.content is None else None
        response.resource = stored.content
    return response
