"""StructureDefinitions and ConceptMaps without their prose: what validating, snapshots and short forms need.

What stays has the shape of the published JSON, so that built-in profiles are read like stored ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from scripts.definitions.errata import Errata
from scripts.definitions.structures import FHIR, FHIR_TYPE, MAX_VALUE_SET, REGEX
from scripts.definitions.terminology import only

Json = dict[str, Any]

BEST_PRACTICE = FHIR + "elementdefinition-bestpractice"
_HEAD = ("resourceType", "id", "url", "version", "name", "title", "status")
_STRUCTURE = (
    *(*_HEAD, "fhirVersion", "kind", "abstract", "context", "contextInvariant"),
    *("type", "baseDefinition", "derivation"),
)
_ELEMENT = frozenset(
    (
        *("id", "path", "representation", "sliceName", "sliceIsConstraining", "short", "slicing", "min", "max", "base"),
        *("contentReference", "maxLength", "condition", "mustSupport", "isModifier", "isSummary"),
    )
)
_VALUES = ("fixed", "pattern", "minValue", "maxValue", "defaultValue")
_TYPE = ("code", "profile", "targetProfile", "aggregation", "versioning")
_CONSTRAINT = ("key", "severity", "human", "expression", "source")
_KEPT_EXTENSIONS = frozenset((FHIR_TYPE, REGEX, MAX_VALUE_SET, BEST_PRACTICE))


def structure_definitions(resources: Iterable[Json], errata: Errata) -> dict[str, Json]:
    """URL → every StructureDefinition of these, with its snapshot and differential, sorted."""
    profiles = Profiles(errata)
    found = {r["url"]: profiles.structure(r) for r in resources if r["resourceType"] == "StructureDefinition"}
    return dict(sorted(found.items()))


class Profiles:
    """Strips StructureDefinitions and corrects what the errata say of the same elements, wherever they are repeated."""

    def __init__(self, errata: Errata) -> None:
        self._errata = errata
        # A snapshot repeats a constraint at other paths than the declared one: there its key and text identify it.
        self._corrected = {(e["key"], e["published"]): e["corrected"] for e in errata.entries["constraints"]}
        self._corrected_anywhere = {e["published"]: e["corrected"] for e in errata.entries["expressions"]}

    def structure(self, published: Json) -> Json:
        """A StructureDefinition without its prose."""
        compact = only(published, _STRUCTURE)
        for view in ("snapshot", "differential"):
            compact[view] = {"element": [self._element(one) for one in published[view]["element"]]}
        return compact

    def _element(self, published: Json) -> Json:
        compact = {name: value for name, value in published.items() if name in _ELEMENT or name.startswith(_VALUES)}
        if "slicing" in published:
            compact["slicing"] = only(published["slicing"], ("discriminator", "ordered", "rules"))
        if "type" in published:
            declared_at = published.get("base", published)["path"]
            compact["type"] = [self._type(one, declared_at) for one in published["type"]]
        if "constraint" in published:
            compact["constraint"] = [self._constraint(one) for one in published["constraint"]]
        if "binding" in published:
            compact["binding"] = self._binding(published)
        return compact

    def _binding(self, element: Json) -> Json:
        binding = element["binding"]
        compact = only(binding, ("strength", "valueSet")) | _extensions(binding)
        compact["strength"] = self._errata.strength(element["path"], binding.get("valueSet", ""), binding["strength"])
        return compact

    def _type(self, published: Json, declared_at: str) -> Json:
        compact = only(published, _TYPE) | _extensions(published)
        for extension in compact.get("extension", ()):
            if extension["url"] == FHIR_TYPE and "valueUrl" in extension:
                extension["valueUrl"] = self._errata.type(declared_at, extension["valueUrl"])
        return compact

    def _constraint(self, published: Json) -> Json:
        compact = only(published, _CONSTRAINT) | _extensions(published)
        text = published["expression"]
        compact["expression"] = self._corrected.get((published["key"], text)) or self._corrected_anywhere.get(
            text, text
        )
        return compact


def _extensions(published: Json) -> Json:
    kept = [dict(one) for one in published.get("extension", ()) if one["url"] in _KEPT_EXTENSIONS]
    return {"extension": kept} if kept else {}


def concept_map(published: Json) -> Json:
    """A ConceptMap with its mappings; comments are left out."""
    names = (*_HEAD, "sourceUri", "sourceCanonical", "targetUri", "targetCanonical")
    compact = only(published, names)
    compact["group"] = [_group(one) for one in published.get("group", ())]
    return compact


def _group(published: Json) -> Json:
    compact = only(published, ("source", "sourceVersion", "target", "targetVersion", "unmapped"))
    compact["element"] = [
        only(one, ("code", "display")) | {"target": list(_targets(one))} for one in published["element"]
    ]
    return compact


def _targets(published: Json) -> Iterator[Json]:
    for target in published.get("target", ()):
        yield only(target, ("code", "display", "equivalence", "dependsOn", "product"))
