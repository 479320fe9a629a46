"""https://hl7.org/fhir/R4/resource-operation-convert.html"""

from __future__ import annotations

from typing import Any

from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.definitions import RESOURCE_TYPES
from fhir_server.outcomes import Invalid, Malformed
from fhir_server.registry import operation

Json = dict[str, Any]


@operation("convert", system=True)
async def convert(ctx: Context, request: FhirRequest) -> FhirResponse:
    """The resource of the body in the format that Accept asks for: FHIR JSON or FHIR XML.

    It is neither stored nor checked further than the other format needs.
    """
    resource = _input(request.body)
    name = resource.get("resourceType")
    if not isinstance(name, str) or name not in RESOURCE_TYPES:
        raise Invalid("The body has no resourceType of FHIR R4.", expression=["resourceType"])
    return FhirResponse(resource=resource)


def _input(body: Any) -> Json:
    """The body, or the resource of the parameter `input` when Parameters carry nothing else."""
    if not isinstance(body, dict) or not body:
        raise Malformed("The request needs a resource as its body.")
    match body:
        case {"resourceType": "Parameters", "parameter": [{"name": "input", "resource": resource}]} if resource:
            return _input(resource)
    return body
