"""https://hl7.org/fhir/R4/conceptmap-operation-closure.html · terminology-service.html#closure"""

from __future__ import annotations

from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.operations.input import published, read
from fhir_server.operations.terms import coding_of, missing_is_404
from fhir_server.outcomes import Invalid
from fhir_server.registry import operation
from fhir_server.terminology import closure as entries


@operation("closure", system=True, affects_state=True)
async def closure(ctx: Context, request: FhirRequest) -> FhirResponse:
    """What a client's table of "who subsumes whom" needs to know of new codes.

    With the name alone the table begins anew; with a version, everything since that version comes again.
    """
    given = read(request, published("closure", None))
    concepts = [coding_of(one, "concept") for one in given.all("concept")]
    if any(not one.system for one in concepts):
        raise Invalid("Parameter 'concept' has no system.", code="required")
    version = given.one("version")
    if concepts and version is not None:
        raise Invalid("$closure takes new concepts, or the version to go on from, not both at once.")
    with missing_is_404():
        found = await entries(ctx.repository, ctx.principal, ctx.base_url, given.one("name"), concepts, version)
    return FhirResponse(resource=found)
