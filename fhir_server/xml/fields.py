"""What a type may hold, as XML needs it: the place of each element in the order, and how its value is written.

https://hl7.org/fhir/R4/xml.html
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cache

from fhir_server.definitions import ElementDefinition, is_primitive, type_definition

FHIR = "http://hl7.org/fhir"
XHTML = "http://www.w3.org/1999/xhtml"


class Kind(Enum):
    """How a property is written; the values of the primitives are their JSON types."""

    NAME = "name"  # resourceType, which is the name of the resource's own element
    ATTRIBUTE = "attribute"  # id of an element, url of an Extension
    COMPLEX = "complex"
    RESOURCE = "resource"  # an element around an element that is named by the resource's type
    XHTML = "xhtml"
    TEXT = "string"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    DECIMAL = "decimal"


_KINDS = {
    "xhtml": Kind.XHTML,
    "boolean": Kind.BOOLEAN,
    "integer": Kind.INTEGER,
    "positiveInt": Kind.INTEGER,
    "unsignedInt": Kind.INTEGER,
    "decimal": Kind.DECIMAL,
}


@dataclass(frozen=True, slots=True)
class Field:
    """One property: its name in JSON is that of its XML element or attribute."""

    name: str
    type: str
    kind: Kind
    rank: int  # its place among the elements; the properties of one choice have the same
    repeats: bool
    expression: str  # its step in FHIRPath: `value` for valueQuantity


@cache
def fields(type_name: str) -> dict[str, Field]:
    """JSON property → its Field, for a resource type, data type or nested type; KeyError for an unknown type."""
    definition = type_definition(type_name)
    found: dict[str, Field] = {}
    if definition.kind == "resource":
        found["resourceType"] = Field("resourceType", "code", Kind.NAME, 0, False, "resourceType")
    last = ""
    rank = 0
    for element in definition.properties:
        expression = element.choice or element.name
        rank += expression != last
        last = expression
        found[element.name] = Field(element.name, element.type, _kind(element), rank, element.repeats, expression)
    return found


def _kind(element: ElementDefinition) -> Kind:
    if element.xml_attribute:
        return Kind.ATTRIBUTE
    if element.type == "Resource":
        return Kind.RESOURCE
    if is_primitive(element.type):
        return _KINDS.get(element.type, Kind.TEXT)
    return Kind.COMPLEX
