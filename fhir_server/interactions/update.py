"""https://hl7.org/fhir/R4/http.html#update · #upsert · #cond-update · #concurrency"""

from __future__ import annotations

import uuid
from typing import Any

from fhir_server import api
from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.interactions.content import identify, resource_of
from fhir_server.interactions.create import ATTEMPTS
from fhir_server.outcomes import Conflict, Invalid, NotFound, PreconditionFailed
from fhir_server.registry import interaction
from fhir_server.storage.unit_of_work import Lost, Write

Json = dict[str, Any]


@interaction("update")
async def update(ctx: Context, request: FhirRequest) -> FhirResponse:
    """A new version under the id of the URL (created with it when there is none), or of the one that fits."""
    assert request.type
    resource = resource_of(request)
    if request.id is None:
        return await _conditional(ctx, request, resource)
    if resource.get("id", request.id) != request.id:
        raise Invalid("The id of the body is not the id of the URL.", expression=[f"{request.type}.id"])
    resource = identify(resource, request.id)
    await api.check(ctx, resource, expect_type=request.type)
    for attempt in range(ATTEMPTS):
        async with ctx.repository.turns.of(f"{request.type}/{request.id}", attempt):
            base = await api.base(ctx, request.type, request.id)
            exact = api.check_if_match(request, base)
            if request.if_none_match is not None and request.if_none_match.strip() == "*":
                if base is not None and not base.deleted:
                    raise PreconditionFailed("If-None-Match: * and the resource exists.")
                exact = True
            if base is None and request.assigned_id != request.id and api.is_limited(ctx, request.type):
                # Whether the id is free, or belongs to what the caller may not see, must look the same.
                raise NotFound(f"There is no {request.type} with this id, and the caller cannot choose ids.")
            write = Write("PUT", request.type, request.id, resource, base, exact)
            try:
                await api.write(ctx, write)
            except Lost:
                if exact:
                    raise PreconditionFailed("The resource changed meanwhile.") from None
                continue
            return FhirResponse(200, write=write)
    raise Conflict("The resource is being changed too often; try again.")


async def _conditional(ctx: Context, request: FhirRequest, resource: Json) -> FhirResponse:
    """Update the one resource that fits the URL's criterion; create it when none does."""
    assert request.type
    criterion = api.criterion_of(request)
    for attempt in range(ATTEMPTS):
        async with ctx.repository.turns.of(f"{request.type}?{criterion}", attempt):
            match = await api.match(ctx, request.type, criterion)
            base = match.stored
            if base is not None and resource.get("id", base.id) != base.id:
                raise Invalid("The body's id is not that of the resource that fits.", expression=[f"{request.type}.id"])
            if base is None and "id" in resource:
                if api.is_limited(ctx, request.type):
                    raise NotFound("No resource fits the condition, and the caller cannot choose ids.")
                base = await api.current(ctx, request.type, resource["id"])
                if base is not None and not base.deleted:
                    raise Conflict("The id of the body belongs to a resource that does not fit the condition.")
            api.check_if_match(request, match.stored)
            chosen = base.id if base else resource.get("id") or request.assigned_id or str(uuid.uuid4())
            identified = identify(resource, chosen)
            await api.check(ctx, identified, expect_type=request.type)
            write = Write("PUT", request.type, chosen, identified, base, exact=True)
            try:
                await api.write(ctx, write, match.guard)
            except Lost:
                continue
            return FhirResponse(200, write=write)
    raise Conflict("The conditional update was overtaken too often; try again.")
