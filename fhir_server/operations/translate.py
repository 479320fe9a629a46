"""https://hl7.org/fhir/R4/conceptmap-operation-translate.html"""

from __future__ import annotations

from typing import Any

from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.operations.input import Input, published, read
from fhir_server.operations.terms import check_valid, codings, missing_is_404, one_of, stored, versioned
from fhir_server.outcomes import Invalid
from fhir_server.registry import operation
from fhir_server.terminology import Coding, TranslateRequest
from fhir_server.terminology import translate as translation_of

Json = dict[str, Any]


@operation("translate", types=("ConceptMap",), instances=("ConceptMap",))
async def translate(ctx: Context, request: FhirRequest) -> FhirResponse:
    """What a code is called elsewhere, by one concept map or by all that fit."""
    given = read(request, published("translate", request.type))
    listed = codings(
        request,
        given,
        ("system", "version"),
        system=given.one("system") or "",
        version=given.one("version") or "",
    )
    if any(not one.system for one in listed):
        raise Invalid("$translate needs the system of the code.", code="required")
    one_of(request, given, "target", "targetsystem", required=False)
    concept_map = await _concept_map(ctx, request, given)
    asked = TranslateRequest(
        codings=listed,
        concept_map=concept_map,
        source=given.one("source") or "",
        target=given.one("target") or "",
        target_system=given.one("targetsystem") or "",
        dependencies=_dependencies(given.all("dependency")),
        reverse=given.one("reverse") is True,
    )
    with missing_is_404():
        found = await translation_of(ctx.repository, ctx.principal, ctx.base_url, asked)
    return FhirResponse(resource=found.to_fhir())


async def _concept_map(ctx: Context, request: FhirRequest, given: Input) -> str | Json:
    """The map that the call is about; nothing where any will do."""
    names = ("url", "conceptMap")
    version = given.one("conceptMapVersion")
    if request.id is not None:
        if any(given.all(name) for name in (*names, "conceptMapVersion")):
            raise Invalid("$translate on a ConceptMap takes neither 'url' nor 'conceptMap'.")
        await stored(ctx, request)
        return f"ConceptMap/{request.id}"
    which = one_of(request, given, *names, required=False)
    if which == "url":
        return versioned(given.one("url"), version, "conceptMapVersion")
    if version is not None:
        raise Invalid("Parameter 'conceptMapVersion' goes with 'url'.")
    if which:
        check_valid(given.one(which), which, "ConceptMap")
        return dict(given.one(which))
    return ""


def _dependencies(groups: list[list[Json]]) -> dict[str, Coding | str] | None:
    """The values of other elements by the element's URI: a Coding, or the text where there is none."""
    found: dict[str, Coding | str] = {}
    for group in groups:
        parts = {part["name"]: part for part in group}
        element = parts.get("element", {}).get("valueUri", "")
        concept = parts.get("concept", {}).get("valueCodeableConcept", {})
        value = Coding.read(concept["coding"][0]) if concept.get("coding") else concept.get("text", "")
        if not element or not value or parts.keys() - {"element", "concept"}:
            raise Invalid("Parameter 'dependency' has the parts 'element' (uri) and 'concept' (CodeableConcept).")
        found[element] = value
    return found or None
