"""https://hl7.org/fhir/R4/http.html#read · https://hl7.org/fhir/R4/binary.html#rest"""

from __future__ import annotations

import base64

from fhir_server import api
from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.outcomes import Gone, NotFound
from fhir_server.registry import interaction
from fhir_server.storage.stored import Stored

# Generic XML is not among them: every browser lists it, and wants to see the PDF.
_FHIR = (
    "application/fhir+json",
    "application/json+fhir",
    "application/json",
    "text/json",
    "application/fhir+xml",
    "application/xml+fhir",
)
_SHORT = {"json": "application/fhir+json", "xml": "application/fhir+xml"}


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
    elif stored.type == "Binary" and _wants_content(request, (resource := stored.resource())["contentType"]):
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


def _wants_content(request: FhirRequest, content_type: str) -> bool:
    """A Binary comes as its own content unless FHIR JSON or FHIR XML is liked better."""
    own = content_type.partition(";")[0].strip().lower()
    if asked := dict(request.query).get("_format"):
        liked = [_SHORT.get(asked, asked.partition(";")[0].strip().lower().replace(" ", "+"))]
    else:
        liked = _liked(request.accept or "*/*")
    for name in liked:
        if name in (own, "*/*", own.partition("/")[0] + "/*"):
            return True
        if name in _FHIR:
            return False
    return True


def _liked(accept: str) -> list[str]:
    """The media ranges of an Accept header, best first, wildcards behind names of the same quality."""
    ranked: list[tuple[float, int, str]] = []
    for item in accept.lower().split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        given = [parameter[2:] for parameter in parameters if parameter.startswith("q=")]
        try:
            quality = float(given[0]) if given else 1.0
        except ValueError:
            continue
        if quality > 0:
            ranked.append((-quality, name.count("*"), name))
    return [name for _, _, name in sorted(ranked, key=lambda rank: rank[:2])]
