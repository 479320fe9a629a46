"""https://hl7.org/fhir/R4/capabilitystatement-operation-versions.html"""

from __future__ import annotations

from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.definitions import FHIR_VERSION
from fhir_server.operations.input import published, read
from fhir_server.registry import operation

VERSION = FHIR_VERSION.rpartition(".")[0]  # major.minor


@operation("versions", system=True)
async def versions(ctx: Context, request: FhirRequest) -> FhirResponse:
    """The FHIR versions that the server speaks, and the one it speaks unless asked for another."""
    read(request, published("versions", request.type))
    parameter = [{"name": name, "valueCode": VERSION} for name in ("version", "default")]
    return FhirResponse(resource={"resourceType": "Parameters", "parameter": parameter})
