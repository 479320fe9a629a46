"""Numbers are stable and fit the keys; every parameter that searches can answer is compiled."""

from __future__ import annotations

import pytest

from fhir_server.definitions import RESOURCE_TYPES, compartments
from fhir_server.search import registry
from fhir_server.search.compile import compartment_numbers
from fhir_server.search.extract import warm
from fhir_server.search.fields import fields
from fhir_server.search.paths import leaves
from fhir_server.search.types import INDEXERS

EVERY = [p for name in sorted(RESOURCE_TYPES) for p in registry.parameters(name).values()]


def test_numbers_are_three_digits_and_unique() -> None:
    numbers = [p.number for p in EVERY] + [registry.type_number(name) for name in RESOURCE_TYPES]
    assert len(set(numbers)) == len(numbers)
    assert {len(number) for number in numbers} == {registry.NUMBER_WIDTH}
    assert max(numbers) < registry.number_text(registry.FIRST_CUSTOM)


@pytest.mark.parametrize(
    ("resource_type", "code", "number"),
    [("Account", "_id", "002"), ("Observation", "code", "1ld"), ("VisionPrescription", "status", "2fl")],
)
def test_numbers_stay(resource_type: str, code: str, number: str) -> None:
    """Stored keys depend on them: a change needs a new LAYOUT and a reindex."""
    assert registry.LAYOUT == 2
    parameter = registry.find(resource_type, code)
    assert parameter is not None
    assert parameter.number == number
    assert registry.by_number()[number] is parameter


def test_all_pairs_are_there() -> None:
    """1,706 published pairs of type and parameter, those of Resource and DomainResource once for each type."""
    own = [p for p in EVERY if not p.code.startswith("_")]
    assert len(own) == 1706 - 9
    assert {p.code for p in EVERY if p.code.startswith("_")} == {
        *("_id", "_lastUpdated", "_tag", "_profile", "_security", "_source", "_text", "_content", "_query")
    }
    assert registry.find("Binary", "_text") is None, "a Binary has no narrative"


def test_what_is_not_supported() -> None:
    """Named queries: R4 publishes none."""
    assert {p.code for p in EVERY if not p.supported} == {"_query"}


def test_every_other_parameter_is_compiled() -> None:
    warm()
    missing = []
    for parameter in EVERY:
        if parameter.indexed and parameter.code not in ("_id", "_lastUpdated"):
            field = fields(parameter.resource_type)[parameter.code]
            known = INDEXERS[parameter.type].keys() & field.types
            if not leaves(parameter) or not known or not field.sources:
                missing.append(f"{parameter.resource_type}.{parameter.code}")
    assert missing == []


def test_only_these_choices_of_types_cannot_be_searched() -> None:
    odd = {
        (p.resource_type, p.code, leaf.type)
        for p in EVERY
        if p.indexed
        for leaf in leaves(p)
        if leaf.type not in INDEXERS[p.type]
    }
    odd = {(type_, code, leaf) for type_, code, leaf in odd if code not in ("_id", "_lastUpdated")}
    assert odd == {
        ("CarePlan", "activity-date", "string"),
        ("Immunization", "date", "string"),
        ("Procedure", "date", "string"),
        ("Procedure", "date", "Age"),
        ("Procedure", "date", "Range"),
    }


@pytest.mark.parametrize(
    ("resource_type", "code", "sources"),
    [
        ("Observation", "patient", [("subject", "Patient")]),
        ("Observation", "combo-code", [("code", ""), ("component-code", "")]),
        ("Observation", "combo-value-quantity", [("component-value-quantity", ""), ("value-quantity", "")]),
        ("Appointment", "location", [("actor", "Location")]),
        ("Observation", "subject", [("subject", "")]),
        ("Task", "patient", [("subject", "Patient")]),  # of Task.for
    ],
)
def test_served_by(resource_type: str, code: str, sources: list[tuple[str, str]]) -> None:
    found = [(registry.by_number()[s.number].code, s.target) for s in fields(resource_type)[code].sources]
    assert sorted(found) == sorted(sources)


def test_compartments_have_keys_for_every_parameter() -> None:
    for name, members in compartments().items():
        for resource_type, codes in members.items():
            assert bool(compartment_numbers(name, resource_type)) == bool(codes), (name, resource_type)
