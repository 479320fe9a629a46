"""https://hl7.org/fhir/R4/http.html#vread"""

from __future__ import annotations

from fhir_server import api
from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.interactions.read import shown
from fhir_server.outcomes import Gone, NotFound
from fhir_server.registry import interaction


@interaction("vread")
async def vread(ctx: Context, request: FhirRequest) -> FhirResponse:
    """One version by number; 410 when that version is a deletion."""
    type_, id_ = request.instance()
    text = request.version or ""
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    stored = await api.version(ctx, type_, id_, number) if number else None
    if stored is None:
        raise NotFound(f"There is no such version of this {request.type}.")
    if stored.deleted:
        raise Gone(f"This version is the deletion of the {request.type}.")
    return shown(request, stored)
