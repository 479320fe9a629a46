"""Nodes know what they are and where they are."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.fhirpath import Environment, FhirPathError, Node, Services, child, children, compile, root

BUNDLE: dict[str, Any] = {
    "resourceType": "Bundle",
    "entry": [
        {
            "fullUrl": "urn:uuid:1",
            "resource": {
                "resourceType": "Patient",
                "contained": [{"resourceType": "Organization", "id": "o", "partOf": {"reference": "#"}}],
                "name": [{"given": ["A", None], "_given": [None, {"id": "x", "extension": [{"url": "u"}]}]}],
                "multipleBirthInteger": 1,
                "active": False,
            },
        }
    ],
}
BASE = "Bundle.entry[0].resource"
PLACES = {
    "entry.resource.name": (f"{BASE}.name[0]", "HumanName", ("entry", 0, "resource", "name", 0)),
    "entry.resource.multipleBirth": (
        f"{BASE}.multipleBirth.ofType(integer)",
        "integer",
        ("entry", 0, "resource", "multipleBirthInteger"),
    ),
    "entry.resource.name.given[1]": (
        f"{BASE}.name[0].given[1]",
        "string",
        ("entry", 0, "resource", "name", 0, "given", 1),
    ),
    "entry.resource.name.given.extension": (
        f"{BASE}.name[0].given[1].extension[0]",
        "Extension",
        ("entry", 0, "resource", "name", 0, "_given", 1, "extension", 0),
    ),
    "entry.resource.contained.id": (
        f"{BASE}.contained[0].id",
        "id",
        ("entry", 0, "resource", "contained", 0, "id"),
    ),
    "entry": ("Bundle.entry[0]", "Bundle.entry", ("entry", 0)),
    "$this": ("Bundle", "Bundle", ()),
}


@pytest.mark.parametrize("expression", PLACES)
def test_places(expression: str) -> None:
    (node,) = compile(expression).evaluate(root(BUNDLE))
    assert (node.path, node.type, node.location) == PLACES[expression]


def test_resources_around() -> None:
    (part_of,) = compile("entry.resource.contained.partOf").evaluate(root(BUNDLE))
    assert (part_of.resource.type, part_of.container.type) == ("Organization", "Patient")
    assert [n.type for n in compile("resolve()").evaluate(part_of)] == ["Patient"]
    (name,) = compile("entry.resource.name").evaluate(root(BUNDLE))
    assert (name.resource.type, name.container.type) == ("Patient", "Patient")
    assert [n.type for n in compile("%resource | %rootResource | %context").evaluate(part_of)] == [
        "Organization",
        "Patient",
        "Reference",
    ]


def test_a_given_environment_goes_first() -> None:
    other = root({"resourceType": "Group"})
    environment = Environment(resource=other, root_resource=other, context=other)
    found = compile("%resource.combine(%rootResource).combine(%context)").evaluate(root(BUNDLE), environment)
    assert found == [other, other, other]


def test_children() -> None:
    (entry,) = child(root(BUNDLE), "entry")
    assert [node.name for node in children(entry)] == ["fullUrl", "resource"]
    (patient,) = child(entry, "resource")
    assert [node.path for node in children(patient)] == [
        f"{BASE}.contained[0]",
        f"{BASE}.active",
        f"{BASE}.name[0]",
        f"{BASE}.multipleBirth.ofType(integer)",
    ]
    (name,) = child(patient, "name")
    assert [(n.value, n.companion is None) for n in child(name, "given")] == [("A", True), (None, False)]
    assert child(name, "nothing") == []


def test_a_part_of_a_resource() -> None:
    assert [n.value for n in compile("given").evaluate(Node({"given": ["x"]}, "HumanName"))] == ["x"]
    assert compile("value is code").holds(Node({"url": "a", "valueCode": "x"}, "Extension"))
    assert [n.path for n in compile("given").evaluate(Node({"given": ["x"]}, "HumanName"))] == ["HumanName.given[0]"]


def test_invariants_hold() -> None:
    patient = root(BUNDLE["entry"][0]["resource"])
    assert compile("name.exists()").holds(patient)
    assert not compile("active").holds(patient)
    assert not compile("photo.title = 'x'").holds(patient), "nothing is not true"
    assert compile("name.given").holds(patient), "what is no boolean is true"


class Known(Services):
    """Services that know one of each."""

    def resolve(self, reference: str, node: Node) -> Node | None:
        return root({"resourceType": "Organization", "id": reference[-1]}) if reference == "Organization/1" else None

    def member_of(self, node: Node, value_set: str) -> bool | None:
        return node.value == "male" if value_set == "known" else None

    def conforms_to(self, node: Node, profile: str) -> bool | None:
        return profile == "known"

    def html_checks(self, node: Node) -> bool | None:
        return "script" not in node.value

    def subsumes(self, general: Node, special: Node) -> bool | None:
        return bool(special.value.startswith(general.value))


ASKED = {
    "managingOrganization.resolve().id": ["1"],
    "generalPractitioner.resolve()": [],
    "gender.memberOf('known')": [True],
    "gender.memberOf('unknown')": [],
    "conformsTo('known')": [True],
    "conformsTo('http://hl7.org/fhir/StructureDefinition/Person')": [False],
    "text.div.htmlChecks()": [True],
    "'a'.subsumes('ab')": [True],
    "'a'.subsumedBy('ab')": [False],
}


@pytest.mark.parametrize("expression", ASKED)
def test_services(expression: str) -> None:
    patient = {
        "resourceType": "Patient",
        "gender": "male",
        "text": {"div": "<div/>"},
        "managingOrganization": {"reference": "Organization/1"},
        "generalPractitioner": [{"reference": "Practitioner/2"}],
    }
    found = compile(expression).evaluate(root(patient), Environment(services=Known()))
    assert [node.value for node in found] == ASKED[expression]


def test_what_a_service_raises_comes_through() -> None:
    class Asks(Services):
        def member_of(self, node: Node, value_set: str) -> bool | None:
            raise LookupError(value_set)

    with pytest.raises(LookupError):
        compile("memberOf('x')").evaluate(Node("a", "code"), Environment(services=Asks()))
    with pytest.raises(FhirPathError):
        compile("memberOf('x')").evaluate(Node("a", "code"))
