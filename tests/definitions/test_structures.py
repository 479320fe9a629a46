"""Published StructureDefinitions and ConceptMaps: every one by URL, without prose, with the errata."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from fhir_server import definitions as d

FHIR = "http://hl7.org/fhir/StructureDefinition/"


def structure(name: str) -> dict[str, Any]:
    return by_url(FHIR + name)


def by_url(url: str) -> dict[str, Any]:
    text = d.structure(url)
    assert text is not None, url
    return msgspec.json.decode(text, type=dict[str, Any])


def elements(definition: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {element["id"]: element for element in definition["snapshot"]["element"]}


def all_elements() -> Iterator[dict[str, Any]]:
    for url in d.structure_urls():
        read = by_url(url)
        assert read["url"] == url
        for view in ("snapshot", "differential"):
            yield from read[view]["element"]


def test_every_published_structure_is_there_by_its_url() -> None:
    kinds: dict[tuple[str, str], int] = {}
    for url in d.structure_urls():
        read = by_url(url)
        key = (read["kind"], read.get("derivation", "-"))
        kinds[key] = kinds.get(key, 0) + 1
    assert kinds == {
        ("primitive-type", "specialization"): 20,
        ("complex-type", "specialization"): 40,
        ("complex-type", "constraint"): 395,
        ("complex-type", "-"): 1,
        ("resource", "specialization"): 147,
        ("resource", "constraint"): 41,
        ("resource", "-"): 1,
    }
    assert {FHIR + name for name in (*d.RESOURCE_TYPES, *d.DATA_TYPES)} <= d.structure_urls()
    assert d.structure("http://example.org/none") is None


def test_prose_is_gone_and_what_is_checked_stays() -> None:
    names: set[str] = set()
    for element in all_elements():
        names |= element.keys()
        for constraint in element.get("constraint", ()):
            assert constraint.keys() <= {"key", "severity", "human", "expression", "source", "extension"}
    assert not names & {"definition", "comment", "requirements", "alias", "mapping", "example", "extension"}
    assert {"short", "slicing", "sliceName", "fixedUri", "patternCodeableConcept", "contentReference"} <= names


def test_a_profile_keeps_slicing_values_types_and_bindings() -> None:
    vital = elements(structure("vitalsigns"))
    slicing = vital["Observation.category"]["slicing"]
    assert slicing["rules"] == "open"
    assert [x["path"] for x in slicing["discriminator"]] == ["coding.code", "coding.system"]
    assert vital["Observation.category:VSCat"]["sliceName"] == "VSCat"
    assert vital["Observation.category:VSCat.coding.code"]["fixedCode"] == "vital-signs"
    assert vital["Observation.subject"]["type"] == [{"code": "Reference", "targetProfile": [FHIR + "Patient"]}]
    language = vital["Observation.language"]["binding"]
    assert language["valueSet"] == "http://hl7.org/fhir/ValueSet/languages"
    assert [x["valueCanonical"] for x in language["extension"]] == ["http://hl7.org/fhir/ValueSet/all-languages"]


def test_an_extension_keeps_its_context() -> None:
    birth_place = structure("patient-birthPlace")
    assert birth_place["context"] == [{"type": "element", "expression": "Patient"}]
    assert birth_place["baseDefinition"] == FHIR + "Extension"
    assert elements(birth_place)["Extension.url"]["fixedUri"] == birth_place["url"]


def test_best_practice_is_told_from_other_warnings() -> None:
    (constraint,) = [c for c in elements(structure("Patient"))["Patient"]["constraint"] if c["key"] == "dom-6"]
    assert {x["url"]: x["valueBoolean"] for x in constraint["extension"]} == {
        FHIR + "elementdefinition-bestpractice": True
    }


def test_the_lexical_rule_of_a_primitive_stays() -> None:
    (kind,) = elements(structure("id"))["id.value"]["type"]
    assert {x["url"]: x.get("valueString") for x in kind["extension"]}[FHIR + "regex"] == r"[A-Za-z0-9\-\.]{1,64}"


def test_errata_are_applied_wherever_an_element_is_repeated() -> None:
    expressions: dict[str, set[str]] = {}
    for element in all_elements():
        for constraint in element.get("constraint", ()):
            expressions.setdefault(constraint["key"], set()).add(constraint["expression"])
    for key, text in {"app-4": "'noshow'", "bdl-8": "fullUrl.exists()", "ref-1": "exists()", "con-3": "coding"}.items():
        assert [text in one for one in expressions[key]] == [True], key
    identifier = elements(structure("Patient"))["Patient.id"]["type"][0]["extension"][0]
    assert identifier == {"url": FHIR + "structuredefinition-fhir-type", "valueUrl": "id"}
    assert elements(structure("HumanName"))["HumanName.id"]["type"][0]["extension"][0]["valueUrl"] == "string"


def test_concept_maps() -> None:
    assert len(d.concept_map_urls()) == 19
    text = d.concept_map("http://hl7.org/fhir/ConceptMap/cm-administrative-gender-v2")
    assert text is not None
    read = msgspec.json.decode(text)
    assert read["resourceType"] == "ConceptMap"
    assert re.match("http://hl7.org/fhir/ValueSet/administrative-gender", read["sourceCanonical"])
    assert read["group"][0]["element"][0].keys() == {"code", "target"}
    assert "text" not in read
    assert d.concept_map("http://example.org/none") is None
