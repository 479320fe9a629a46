"""The loader: counts as published, and the shapes that the rest of the server relies on."""

from __future__ import annotations

import re

import msgspec
import pytest

from fhir_server import definitions as d


def test_counts_are_those_published() -> None:
    assert len(d.RESOURCE_TYPES) == 146
    assert len(d.search_parameters()) == 1375
    assert sum(len(p.base) for p in d.search_parameters()) == 1706
    assert len(d.operations()) == 46
    assert sorted(d.compartments()) == ["Device", "Encounter", "Patient", "Practitioner", "RelatedPerson"]
    assert re.fullmatch(r"4\.0\.1\+[0-9a-f]{12}", d.VERSION)
    assert "DomainResource" not in d.RESOURCE_TYPES
    assert {"HumanName", "date", "xhtml"} <= d.DATA_TYPES


def test_every_type_an_element_names_is_defined() -> None:
    names = d.type_names()
    for name in names:
        definition = d.type_definition(name)
        assert not definition.base or definition.base in names
        for element in definition.properties:
            assert element.type in names, (name, element.name)
            assert not element.profile or element.profile in names
            assert set(element.targets) <= d.RESOURCE_TYPES


def test_a_choice_is_one_property_for_each_type() -> None:
    elements = d.type_definition("Observation").elements
    quantity = elements["valueQuantity"]
    assert (quantity.path, quantity.type, quantity.choice) == ("Observation.value[x]", "Quantity", "value")
    assert "value[x]" not in elements
    assert "valueDecimal" not in elements
    assert len([e for e in d.type_definition("Extension").properties if e.choice == "value"]) == 50


def test_content_references_name_the_type_they_refer_to() -> None:
    assert d.type_definition("Questionnaire.item").elements["item"].type == "Questionnaire.item"
    assert d.type_definition("Bundle.entry").elements["link"].type == "Bundle.link"


def test_elements_keep_the_published_order() -> None:
    names = list(d.type_definition("Patient").elements)
    assert names[:9] == [
        "id", "meta", "implicitRules", "language", "text", "contained", "extension", "modifierExtension", "identifier"
    ]  # fmt: skip
    assert names[-1] == "link"


def test_an_element_has_its_cardinality_binding_targets_and_flags() -> None:
    elements = d.type_definition("Patient").elements
    assert elements["name"].repeats
    assert elements["gender"].binding == d.Binding("required", "http://hl7.org/fhir/ValueSet/administrative-gender")
    assert elements["generalPractitioner"].targets == ("Organization", "Practitioner", "PractitionerRole")
    assert elements["active"].is_modifier
    assert elements["active"].is_summary
    assert d.type_definition("Reference").elements["identifier"].targets == ()
    assert d.type_definition("Extension").elements["url"].xml_attribute
    language = elements["language"].binding
    assert language is not None
    assert language.maximum == "http://hl7.org/fhir/ValueSet/all-languages"


def test_constraints_stand_where_they_are_declared() -> None:
    assert [c.key for c in d.type_definition("Element").constraints] == ["ele-1"]
    assert [c.key for c in d.type_definition("Patient").constraints] == []
    assert [c.key for c in d.type_definition("Patient.contact").constraints] == ["pat-1"]
    assert [c.key for c in d.type_definition("Narrative").elements["div"].constraints] == ["txt-1", "txt-2"]


@pytest.mark.parametrize(
    ("type_name", "key", "text"),
    [
        ("Appointment", "app-4", "'noshow'"),
        ("Timing.repeat", "tim-9", "allFalse()"),
        ("Bundle.entry", "bdl-8", "fullUrl.exists() implies"),
        ("Reference", "ref-1", "reference.exists() implies"),
        ("ValueSet", "vsd-0", "name.exists() implies"),
    ],
)
def test_errata_are_applied(type_name: str, key: str, text: str) -> None:
    (constraint,) = [c for c in d.type_definition(type_name).constraints if c.key == key]
    assert text in constraint.expression


def test_the_id_of_a_resource_is_an_id_and_that_of_an_element_is_not() -> None:
    assert d.type_definition("Patient").elements["id"].type == "id"
    assert d.type_definition("HumanName").elements["id"].type == "string"


def test_codes_of_required_bindings() -> None:
    gender = "http://hl7.org/fhir/ValueSet/administrative-gender"
    assert d.codes(gender) == d.codes(f"{gender}|4.0.1") == frozenset({"male", "female", "other", "unknown"})
    assert d.codings(gender) == {"http://hl7.org/fhir/administrative-gender": d.codes(gender)}
    assert d.codes("http://hl7.org/fhir/ValueSet/mimetypes") is None
    resource_types = d.codes("http://hl7.org/fhir/ValueSet/resource-types")
    assert resource_types is not None
    assert resource_types >= d.RESOURCE_TYPES


def test_code_systems_keep_hierarchy_and_properties_without_prose() -> None:
    text = d.code_system("http://terminology.hl7.org/CodeSystem/v3-ActCode")
    assert text is not None
    read = msgspec.json.decode(text)
    assert (read["resourceType"], read["hierarchyMeaning"], read["content"]) == ("CodeSystem", "is-a", "complete")
    top = read["concept"][0]
    assert top["code"] == "_ActAccountCode"
    assert {"code": "notSelectable", "valueBoolean": True} in top["property"]
    assert "ACCTRECEIVABLE" in [child["code"] for child in top["concept"]]
    assert "definition" not in top
    assert "text" not in read
    assert d.code_system("http://example.org/none") is None


def test_value_sets_keep_their_definition_or_else_their_expansion() -> None:
    kinds = {}
    for name in ("observation-status", "yesnodontknow", "inactive"):
        text = d.value_set(f"http://hl7.org/fhir/ValueSet/{name}")
        assert text is not None
        kinds[name] = msgspec.json.decode(text)
    assert kinds["observation-status"]["compose"] == {"include": [{"system": "http://hl7.org/fhir/observation-status"}]}
    assert kinds["inactive"]["compose"]["inactive"] is True
    assert "expansion" not in kinds["yesnodontknow"]
    assert d.value_set("http://example.org/none") is None


def test_search_parameters() -> None:
    by_url = {p.url.removeprefix("http://hl7.org/fhir/SearchParameter/"): p for p in d.search_parameters()}
    assert by_url["Resource-lastUpdated"].comparator == ("eq", "ne", "gt", "ge", "lt", "le", "sa", "eb", "ap")
    combo = by_url["Observation-code-value-quantity"]
    assert combo.type == "composite"
    assert combo.multiple_or is False
    assert [c.expression for c in combo.component] == ["code", "value.as(Quantity)"]
    assert [c.definition.rpartition("/")[2] for c in combo.component] == ["clinical-code", "Observation-value-quantity"]


def test_a_resource_is_in_its_own_compartment() -> None:
    for focus, members in d.compartments().items():
        assert "{def}" in members[focus]
        assert set(members) <= d.RESOURCE_TYPES
        assert all(members.values())
    assert d.compartments()["Patient"]["Observation"] == ("subject", "performer")
    assert "Medication" not in d.compartments()["Patient"]


def test_operations() -> None:
    everything = next(o for o in d.operations() if o.url.endswith("/Patient-everything"))
    assert (everything.code, everything.resource, everything.type, everything.instance) == (
        "everything", ("Patient",), True, True
    )  # fmt: skip
    assert [p.name for p in everything.parameter if p.use == "in"][:2] == ["start", "end"]


def test_summary_and_mandatory_elements() -> None:
    assert "active" in d.summary_elements("Patient")
    assert "photo" not in d.summary_elements("Patient")
    assert d.mandatory_elements("Observation") == {"status", "code"}


def test_an_unknown_type_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        d.type_definition("Nothing")
