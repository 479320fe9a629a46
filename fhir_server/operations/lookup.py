"""https://hl7.org/fhir/R4/codesystem-operation-lookup.html"""

from __future__ import annotations

from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.operations.input import published, read
from fhir_server.operations.terms import check_date, coding_of, one_of
from fhir_server.outcomes import Invalid
from fhir_server.registry import operation
from fhir_server.terminology import Coding
from fhir_server.terminology import lookup as known_of


@operation("lookup", types=("CodeSystem",))
async def lookup(ctx: Context, request: FhirRequest) -> FhirResponse:
    """What is known of a code: its display, definition, designations and properties, parents and children too."""
    given = read(request, published("lookup", request.type))
    check_date(given)
    if one_of(request, given, "code", "coding") == "code":
        coding = Coding(given.one("system") or "", given.one("code"), given.one("version") or "")
    else:
        coding = coding_of(given.one("coding"), "coding")
        for name in ("system", "version"):
            if given.all(name):
                raise Invalid(f"Parameter '{name}' goes with 'code'; a Coding has its own.")
    if not coding.system:
        raise Invalid("$lookup needs the system of the code.", code="required")
    found = await known_of(
        ctx.repository,
        ctx.principal,
        ctx.base_url,
        coding,
        properties=given.all("property"),
        display_language=given.one("displayLanguage") or "",
    )
    return FhirResponse(resource=found.to_fhir())
