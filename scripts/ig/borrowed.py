"""The cross-version extensions (R5 elements in R4) that the guide refers to, as far as SUSHI must know them.

HL7 publishes their definitions in hl7.fhir.uv.xver-r5.r4; the guide refers to them by URL and ships none of them.
SUSHI refuses an extension that it cannot look up, so the shape that matters here (context, parts, data types) is
written into its cache, and the tests judge the examples by the same table.
https://hl7.org/fhir/R5/versions.html#extensions
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

PACKAGE = "hl7.fhir.uv.xver-r5.r4"
VERSION = "0.1.0"
ROOT = "http://hl7.org/fhir/5.0/StructureDefinition/extension-"


@dataclass(frozen=True, slots=True)
class Part:
    """A nested extension: its URL, data types, and cardinality ("0..1")."""

    url: str
    types: tuple[str, ...]
    cardinality: str = "0..1"

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Extension:
    """A cross-version extension of an R5 element: either data types of its value, or parts."""

    element: str  # of R5: "Encounter.plannedStartDate"
    context: str  # the R4 element that carries it
    types: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()

    @property
    def url(self) -> str:
        return ROOT + self.element

    def definition(self, base: Json) -> Json:
        """A StructureDefinition for SUSHI, from R4's own of Extension."""
        elements = {one["path"]: one for one in base["snapshot"]["element"]}
        found = deepcopy(base)
        for name in ("differential", "mapping", "extension", "contact"):
            found.pop(name, None)
        found |= {
            "id": f"ext-R5-{self.element}",
            "url": self.url,
            "version": VERSION,
            "name": self.element.replace(".", "_"),
            "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Extension",
            "derivation": "constraint",
            "context": [{"type": "element", "expression": self.context}],
        }
        found["snapshot"] = {"element": self._elements(elements)}
        return found

    def _elements(self, base: dict[str, Json]) -> list[Json]:
        found = [deepcopy(base["Extension"]), deepcopy(base["Extension.id"]), deepcopy(base["Extension.extension"])]
        for part in self.parts:
            found += _part(part, base)
        found.append({**deepcopy(base["Extension.url"]), "fixedUri": self.url})
        return [*found, _value(base, "Extension.value[x]", self.types)]


def _part(part: Part, base: dict[str, Json]) -> list[Json]:
    low, _, high = part.cardinality.partition("..")
    path, name = "Extension.extension", f"Extension.extension:{part.name}"
    root = {**deepcopy(base[path]), "id": name, "sliceName": part.name, "min": int(low), "max": high}
    root.pop("slicing", None)
    return [
        root,
        {**deepcopy(base["Extension.id"]), "id": f"{name}.id", "path": f"{path}.id"},
        {**deepcopy(base[path]), "id": f"{name}.extension", "path": f"{path}.extension"},
        {**deepcopy(base["Extension.url"]), "id": f"{name}.url", "path": f"{path}.url", "fixedUri": part.url},
        {**_value(base, f"{name}.value[x]", part.types), "path": f"{path}.value[x]"},
    ]


def _value(base: dict[str, Json], name: str, types: tuple[str, ...]) -> Json:
    element = {**deepcopy(base["Extension.value[x]"]), "id": name}
    return {**element, "type": [{"code": one} for one in types]} if types else {**element, "max": "0"}


# A url is enough for a room; the published `address` may also hold an R5 ExtendedContactDetail in parts.
_SERVICE = (
    Part("http://hl7.org/fhir/StructureDefinition/_datatype", ("string",), "1..1"),
    Part("channelType", ("Coding",)),
    Part("address", ("url", "string", "ContactPoint")),
    Part("additionalInfo", ("url",), "0..*"),
    Part("maxParticipants", ("positiveInt",)),
    Part("sessionKey", ("string",)),
)
_PROPERTY = (
    Part("type", ("CodeableConcept",), "1..1"),
    Part(
        "value",
        ("boolean", "integer", "CodeableConcept", "Period", "Quantity", "Range", "Ratio", "string", "Attachment"),
        "1..1",
    ),
)

EXTENSIONS = (
    Extension("Appointment.virtualService", "Appointment", parts=_SERVICE),
    Extension("Encounter.virtualService", "Encounter", parts=_SERVICE),
    Extension("Encounter.plannedStartDate", "Encounter", ("dateTime",)),
    Extension("BiologicallyDerivedProduct.expirationDate", "BiologicallyDerivedProduct", ("dateTime",)),
    Extension("BiologicallyDerivedProduct.productStatus", "BiologicallyDerivedProduct.status", ("Coding",)),
    Extension("BiologicallyDerivedProduct.property", "BiologicallyDerivedProduct", parts=_PROPERTY),
)
