"""https://hl7.org/fhir/R4/codesystem-operation-subsumes.html"""

from __future__ import annotations

from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.operations.input import Input, published, read
from fhir_server.operations.terms import coding_of, one_of, stored, url_of
from fhir_server.outcomes import Invalid, NotSupported
from fhir_server.registry import operation
from fhir_server.terminology import Coding
from fhir_server.terminology import subsumes as relation


@operation("subsumes", types=("CodeSystem",), instances=("CodeSystem",))
async def subsumes(ctx: Context, request: FhirRequest) -> FhirResponse:
    """How two codes of a code system relate: equivalent, subsumes, subsumed-by or not-subsumed."""
    given = read(request, published("subsumes", request.type))
    a, b = (_code(request, given, letter) for letter in "AB")
    system, version = await _system(ctx, request, given, a, b)
    outcome = await relation(ctx.repository, ctx.principal, ctx.base_url, system, a.code, b.code, version)
    return FhirResponse(
        resource={"resourceType": "Parameters", "parameter": [{"name": "outcome", "valueCode": outcome}]}
    )


def _code(request: FhirRequest, given: Input, letter: str) -> Coding:
    which = one_of(request, given, f"code{letter}", f"coding{letter}")
    value = given.one(which)
    return coding_of(value, which) if isinstance(value, dict) else Coding(code=value)


async def _system(ctx: Context, request: FhirRequest, given: Input, a: Coding, b: Coding) -> tuple[str, str]:
    """The one code system, and its version, that everything in the call agrees on."""
    systems = [given.one("system"), a.system, b.system]
    versions = [given.one("version"), a.version, b.version]
    if request.id is not None:
        resource = await stored(ctx, request)
        systems.append(url_of(resource))
        versions.append(resource.get("version"))
    named, dated = ({one for one in some if one} for some in (systems, versions))
    if not named:
        raise Invalid("$subsumes needs the system of the codes.", code="required")
    if len(named) > 1:
        raise NotSupported("Subsumption between code systems is not supported.")
    if len(dated) > 1:
        raise NotSupported("Subsumption between versions of a code system is not supported.")
    return named.pop(), dated.pop() if dated else ""
