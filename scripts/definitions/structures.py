"""StructureDefinition snapshots → TypeDefinitions: choices expanded, content references resolved."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fhir_server.definitions.shapes import Binding, Constraint, ElementDefinition, TypeDefinition
from scripts.definitions.errata import Errata

Json = dict[str, Any]

FHIR = "http://hl7.org/fhir/StructureDefinition/"
FHIR_TYPE = FHIR + "structuredefinition-fhir-type"
REGEX = FHIR + "regex"
MAX_VALUE_SET = FHIR + "elementdefinition-maxValueSet"
KINDS = {"resource": "resource", "complex-type": "complex", "primitive-type": "primitive"}


def compile_structure(definition: Json, errata: Errata) -> Iterator[TypeDefinition]:
    """The type of this StructureDefinition, then each type nested in it, in published order."""
    return _Structure(definition, errata).types()


class _Structure:
    def __init__(self, definition: Json, errata: Errata) -> None:
        self.definition = definition
        self.errata = errata
        self.root: Json = definition["snapshot"]["element"][0]
        self.children: dict[str, list[Json]] = {}
        for element in definition["snapshot"]["element"][1:]:
            self.children.setdefault(element["path"].rpartition(".")[0], []).append(element)

    def types(self) -> Iterator[TypeDefinition]:
        kind = KINDS[self.definition["kind"]]
        yield TypeDefinition(
            name=self.definition["name"],
            kind=kind,
            base=self.definition.get("baseDefinition", "").removeprefix(FHIR),
            abstract=self.definition["abstract"],
            regex=self._regex(),
            properties=tuple(self._properties(self.root["path"], skip_value=kind == "primitive")),
            constraints=self._constraints(self.root),
        )
        for element in self.definition["snapshot"]["element"][1:]:
            if element["path"] in self.children:
                yield TypeDefinition(
                    name=element["path"],
                    kind="nested",
                    base=element["type"][0]["code"],
                    properties=tuple(self._properties(element["path"])),
                    constraints=self._constraints(element),
                )

    def _regex(self) -> str:
        """A primitive's own lexical rule stands on the type of its `value` element."""
        for element in self.children.get(self.root["path"], ()):
            if element["path"].endswith(".value") and "xmlAttr" in element.get("representation", ()):
                return next((str(x["valueString"]) for x in _extensions(element["type"][0], REGEX)), "")
        return ""

    def _properties(self, path: str, skip_value: bool = False) -> Iterator[ElementDefinition]:
        for element in self.children.get(path, ()):
            name = element["path"].rpartition(".")[2]
            if skip_value and name == "value":
                continue
            if name.endswith("[x]"):
                stem = name.removesuffix("[x]")
                for kind in element["type"]:
                    code = self._type_code(element, kind)
                    yield self._element(element, kind, code, stem + code[0].upper() + code[1:], choice=stem)
            elif "contentReference" in element:
                yield self._element(element, {}, element["contentReference"].removeprefix("#"), name)
            else:
                kind = element["type"][0]
                nested = element["path"] in self.children
                yield self._element(element, kind, element["path"] if nested else self._type_code(element, kind), name)

    def _element(self, element: Json, kind: Json, type_: str, name: str, choice: str = "") -> ElementDefinition:
        is_nested = "." in type_
        return ElementDefinition(
            name=name,
            path=element["path"],
            type=type_,
            min=element["min"],
            max=None if element["max"] == "*" else int(element["max"]),
            choice=choice,
            targets=_targets(kind),
            profile=next((p.removeprefix(FHIR) for p in kind.get("profile", ())), ""),
            binding=binding(element.get("binding")),
            is_summary=element.get("isSummary", False),
            is_modifier=element.get("isModifier", False),
            xml_attribute="xmlAttr" in element.get("representation", ()),
            # A nested type carries its constraints itself, so that a content reference has them too.
            constraints=() if is_nested else self._constraints(element),
        )

    def _type_code(self, element: Json, kind: Json) -> str:
        declared = next((x.get("valueUrl", "string") for x in _extensions(kind, FHIR_TYPE)), kind["code"])
        code = "string" if declared.startswith("http://hl7.org/fhirpath/System.") else declared
        return self.errata.type(element["base"]["path"], code)

    def _constraints(self, element: Json) -> tuple[Constraint, ...]:
        """Those declared here: a snapshot repeats the ones of every type it uses, with their source."""
        return tuple(
            Constraint(
                key=c["key"],
                expression=self.errata.expression(element["path"], c["key"], c["expression"]),
                human=c["human"],
                severity=c["severity"],
            )
            for c in element.get("constraint", ())
            if c.get("source", self.definition["url"]) == self.definition["url"]
        )


def binding(published: Json | None) -> Binding | None:
    """The Binding of an element or parameter, its canonical URL without version."""
    if not published:
        return None
    maximum = next((x["valueCanonical"] for x in _extensions(published, MAX_VALUE_SET)), "")
    return Binding(published["strength"], published.get("valueSet", "").partition("|")[0], maximum.partition("|")[0])


def _targets(kind: Json) -> tuple[str, ...]:
    names = [profile.removeprefix(FHIR) for profile in kind.get("targetProfile", ())]
    return () if "Resource" in names else tuple(names)


def _extensions(element: Json, url: str) -> Iterator[Json]:
    return (x for x in element.get("extension", ()) if x["url"] == url)
