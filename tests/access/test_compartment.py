"""Which resources are a patient's: R4's compartment, and what this server decides beside it (smart.md 16)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from fhir_server.access.compartment import SHARED, is_personal, of_patients, patient_numbers
from fhir_server.definitions import RESOURCE_TYPES, compartments
from fhir_server.search.memory import matches
from tests.access.people import document

CASES = yaml.safe_load((Path(__file__).parent.parent / "cases" / "access_compartment.yaml").read_text())


def run(case: dict[str, Any]) -> None:
    theirs = of_patients(case["resource"]["resourceType"], ["Patient/1"])
    assert (theirs is not None and matches(theirs, document(case["resource"]))) is case["theirs"]


@pytest.mark.parametrize("case", [pytest.param(one, id=one["name"]) for one in CASES])
def test_case(case: dict[str, Any]) -> None:
    run(case)


def test_the_runner_can_fail() -> None:
    with pytest.raises(AssertionError):
        run({"resource": {"resourceType": "Patient", "id": "2"}, "theirs": True})


def test_of_several_patients() -> None:
    found = of_patients("Condition", {"Patient/2", "Patient/1"})
    assert found is not None
    for patient, expected in (("Patient/1", True), ("Patient/2", True), ("Patient/3", False)):
        stored = document({"resourceType": "Condition", "id": "c", "subject": {"reference": patient}})
        assert matches(found, stored) is expected


def test_of_no_patient() -> None:
    assert of_patients("Condition", ()) is None
    assert of_patients("Organization", ["Patient/1"]) is None


def test_what_is_personal_has_a_way_to_its_patient() -> None:
    for type_ in RESOURCE_TYPES:
        assert bool(patient_numbers(type_)) is is_personal(type_), type_


def test_nothing_shared_is_personal() -> None:
    assert not [type_ for type_ in SHARED if is_personal(type_)]
    assert set(compartments()["Patient"]).isdisjoint(SHARED)
