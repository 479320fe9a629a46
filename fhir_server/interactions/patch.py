"""https://hl7.org/fhir/R4/http.html#patch · https://hl7.org/fhir/R4/fhirpatch.html · RFC 6902"""

from __future__ import annotations

from typing import Any

from fhir_server import api
from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.interactions.create import ATTEMPTS
from fhir_server.outcomes import Conflict, Malformed, NotFound, PreconditionFailed, UnsupportedMedia
from fhir_server.patching import fhirpath_patch, json_patch
from fhir_server.registry import interaction
from fhir_server.storage.stored import Stored
from fhir_server.storage.unit_of_work import Lost, Write

Json = dict[str, Any]
JSON_PATCH = "application/json-patch+json"


@interaction("patch")
async def patch(ctx: Context, request: FhirRequest) -> FhirResponse:
    """The current version with the patch applied, checked like any other content.

    A patch is made from the state it was applied to: when that changes meanwhile it is applied anew,
    unless If-Match names a version.
    """
    assert request.type
    key = f"{request.type}/{request.id}" if request.id else f"{request.type}?{api.criterion_of(request)}"
    for attempt in range(ATTEMPTS):
        async with ctx.repository.turns.of(key, attempt):
            base = await _target(ctx, request)
            exact = api.check_if_match(request, base)
            patched = apply(request, base.resource())
            await api.check(ctx, patched, expect_type=request.type)
            write = Write("PATCH", request.type, base.id, patched, base, exact=True)
            try:
                await api.write(ctx, write)
            except Lost:
                if exact:
                    raise PreconditionFailed("The resource changed meanwhile.") from None
                continue
            return FhirResponse(200, write=write)
    raise Conflict("The resource is being changed too often; try again.")


def apply(request: FhirRequest, resource: Json) -> Json:
    """The resource with a JSON Patch (a list) or a FHIRPath Patch (Parameters, or a Binary holding either) applied."""
    body = request.body
    if isinstance(body, list):
        return json_patch.apply(resource, body)
    if isinstance(body, dict) and body.get("resourceType") == "Parameters":
        return fhirpath_patch.apply(resource, body)
    if isinstance(body, bytes):
        raise UnsupportedMedia(f"A patch is {JSON_PATCH} or a Parameters resource (FHIRPath Patch).")
    raise Malformed("A patch is a JSON Patch list or a Parameters resource (FHIRPath Patch).")


async def _target(ctx: Context, request: FhirRequest) -> Stored:
    assert request.type
    if request.id is None:
        match = await api.match(ctx, request.type, api.criterion_of(request))
        if match.stored is None:
            raise NotFound("No resource fits the condition.")
        return match.stored
    return api.there(await api.base(ctx, request.type, request.id), request.type)
