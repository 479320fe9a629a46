"""The resource in a request's body, with the id and the rules of its interaction."""

from __future__ import annotations

import base64
from typing import Any

from fhir_server.context import FhirRequest
from fhir_server.outcomes import Invalid, Malformed

Json = dict[str, Any]


def resource_of(request: FhirRequest) -> Json:
    """The body as a resource of the URL's type; raw content posted to Binary becomes one.

    Raises Malformed (400) when there is none, Invalid (400) when its type is another.
    """
    body = request.body
    if request.type == "Binary" and isinstance(body, bytes):
        return _binary(request, body)
    if not isinstance(body, dict) or not body:
        raise Malformed("The request needs a resource as its body.")
    declared = body.get("resourceType")
    if not isinstance(declared, str):
        raise Invalid("The body has no resourceType.", expression=["resourceType"])
    if declared != request.type:
        raise Invalid(f"The body is not a {request.type}, as the URL says.", expression=["resourceType"])
    return body


def identify(resource: Json, id_: str) -> Json:
    """The resource under this id, right behind its type."""
    rest = {key: value for key, value in resource.items() if key not in ("resourceType", "id")}
    return {"resourceType": resource["resourceType"], "id": id_, **rest}


def _binary(request: FhirRequest, content: bytes) -> Json:
    resource: Json = {
        "resourceType": "Binary",
        "contentType": request.content_type or "application/octet-stream",
    }
    if request.security_context:
        resource["securityContext"] = {"reference": request.security_context}
    if content:
        resource["data"] = base64.b64encode(content).decode()
    return resource
