"""The types of an element: which definition has the elements inside it.

https://hl7.org/fhir/R4/elementdefinition.html#ElementDefinition.type
"""

from __future__ import annotations

from fhir_server.json import Json
from fhir_server.validation.snapshot.errors import SnapshotError

FHIR = "http://hl7.org/fhir/StructureDefinition/"
FHIR_TYPE = FHIR + "structuredefinition-fhir-type"
_SYSTEM = "http://hl7.org/fhirpath/System."


def code_of(kind: Json) -> str:
    """The FHIR type of one entry of ElementDefinition.type: ids and URLs in R4 have a FHIRPath System type there."""
    code = str(kind.get("code", ""))
    if not code.startswith(_SYSTEM):
        return code
    declared = (x.get("valueUrl") or x.get("valueUri") for x in kind.get("extension", ()) if x.get("url") == FHIR_TYPE)
    return next((str(one) for one in declared if one), code)


def url_of(code: str) -> str:
    """The URL of the definition of a type; logical models have URLs as types."""
    return code if ":" in code else FHIR + code


def type_entry(element: Json, name: str) -> Json | None:
    """The entry of ElementDefinition.type that a property or slice (value + Quantity) names."""
    return next((kind for kind in element.get("type", ()) if _capital(code_of(kind)) == name), None)


def content_of(element: Json, where: str) -> str:
    """The URL of the type or profile whose elements are inside this one; SnapshotError where that is not one."""
    kinds = element.get("type", ())
    codes = {code_of(kind) for kind in kinds}
    if not codes:
        raise SnapshotError("has no type, so nothing can be inside it", where)
    if len(codes) > 1:
        return FHIR + "Element"  # what is common to all types of a choice
    profiles = {profile for kind in kinds for profile in kind.get("profile", ())}
    code = codes.pop()
    if code.startswith(_SYSTEM):
        raise SnapshotError("is a plain value, so nothing can be inside it", where)
    return profiles.pop() if len(profiles) == 1 else url_of(code)


def _capital(code: str) -> str:
    return code[:1].upper() + code[1:]
