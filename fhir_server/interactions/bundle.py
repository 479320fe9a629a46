"""A Bundle posted to the base: https://hl7.org/fhir/R4/http.html#transaction."""

from __future__ import annotations

from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.interactions.batch import batch
from fhir_server.interactions.entries import read_entries, response_bundle
from fhir_server.interactions.transaction import transaction
from fhir_server.outcomes import Invalid, Malformed
from fhir_server.registry import interaction


@interaction("bundle")
async def bundle(ctx: Context, request: FhirRequest) -> FhirResponse:
    """Run a batch or a transaction; the answer has one entry for each of the request's, in its order."""
    body = request.body
    if not isinstance(body, dict) or not body:
        raise Malformed("The request needs a Bundle as its body.")
    if body.get("resourceType") != "Bundle":
        raise Invalid("Only a Bundle can be posted to the base.", expression=["resourceType"])
    if ctx.unit is not None:
        raise Invalid("A Bundle cannot stand within a transaction.")
    kind = body.get("type")
    if kind not in ("batch", "transaction"):
        raise Invalid("The base takes Bundles of type batch and transaction.", expression=["Bundle.type"])
    entries = read_entries(ctx, body)
    for entry in entries:
        entry.request.prefer_return = request.prefer_return or "minimal"
    if kind == "batch":
        await batch(ctx, entries)
    else:
        await transaction(ctx, entries)
    return FhirResponse(text=response_bundle(ctx, kind, entries))
