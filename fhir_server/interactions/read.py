"""https://hl7.org/fhir/R4/http.html#read · https://hl7.org/fhir/R4/binary.html#rest"""

from __future__ import annotations

import base64

from fhir_server import api
from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.outcomes import Gone, NotFound
from fhir_server.registry import interaction
from fhir_server.storage.stored import Stored


@interaction("read")
async def read(ctx: Context, request: FhirRequest) -> FhirResponse:
    """The current version; 304 when the caller has it, 410 once deleted, 404 when it never was."""
    type_, id_ = request.instance()
    stored = await api.current(ctx, type_, id_)
    if stored is None:
        raise NotFound(f"There is no {type_} with this id.")
    if stored.deleted:
        raise Gone(f"This {type_} was deleted.", headers={"ETag": f'W/"{stored.version}"'})
    return shown(request, stored)


def shown(request: FhirRequest, stored: Stored) -> FhirResponse:
    """A stored version as the answer to a read or vread."""
    response = FhirResponse(version=stored.version, last_modified=stored.last_modified())
    if _unchanged(request, stored):
        response.status = 304
    elif stored.type == "Binary" and _wants_content(request):
        resource = stored.resource()
        response.raw = base64.b64decode(resource.get("data", ""))
        response.content_type = resource["contentType"]
        if reference := resource.get("securityContext", {}).get("reference"):
            response.headers["X-Security-Context"] = reference
    else:
        response.text = stored.text.encode() if stored.content is None else None
        response.resource = stored.content
    return response


def _unchanged(request: FhirRequest, stored: Stored) -> bool:
    """https://hl7.org/fhir/R4/http.html#cread: If-None-Match decides, If-Modified-Since only without it."""
    if request.if_none_match is not None:
        tags = request.if_none_match.split(",")
        return any(tag.strip() == "*" or api.parse_etag(tag) == stored.version for tag in tags)
    if request.if_modified_since is not None:
        # HTTP dates have seconds, stamps have milliseconds.
        return stored.last_modified().replace(microsecond=0) <= request.if_modified_since
    return False


def _wants_content(request: FhirRequest) -> bool:
    """A Binary comes as its own content unless FHIR JSON is asked for by name."""
    wanted = dict(request.query).get("_format") or request.accept or ""
    return "json" not in wanted and "fhir" not in wanted
