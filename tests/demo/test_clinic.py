"""The demo clinic is valid R4, closed, the same every time, and makes clinical sense."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from fhir_server.demo.clinic import ANCHOR, bundles
from fhir_server.json import decode, encode
from fhir_server.validation import validate

Json = dict[str, Any]
LEAP_DAY = date(2028, 2, 29)


def resources(anchor: date = ANCHOR) -> list[Json]:
    return [entry["resource"] for bundle in bundles(anchor) for entry in bundle["entry"]]


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield value["reference"]
        for child in value.values():
            yield from references(child)
    elif isinstance(value, list):
        for child in value:
            yield from references(child)


@pytest.mark.parametrize("anchor", [ANCHOR, LEAP_DAY])
def test_every_resource_is_valid(anchor: date) -> None:
    for bundle in bundles(anchor):
        assert validate(decode(encode(bundle))) == []
        for entry in bundle["entry"]:
            resource = decode(encode(entry["resource"]))
            assert validate(resource) == [], f"{resource['resourceType']}/{resource['id']}"
            get_fhir_model_class(resource["resourceType"]).model_validate_json(encode(resource))


def test_the_same_every_time() -> None:
    assert encode(bundles()) == encode(bundles())
    assert encode(bundles()) != encode(bundles(LEAP_DAY))


def test_another_anchor_keeps_the_ids_and_moves_the_dates() -> None:
    week = timedelta(days=7)
    here, there = resources(), resources(ANCHOR + week)
    assert [(r["resourceType"], r["id"]) for r in here] == [(r["resourceType"], r["id"]) for r in there]
    for before, after in zip(here, there, strict=True):
        stamps = [re.findall(r"\d{4}-\d\d-\d\d(?=[T\"])", encode(r).decode()) for r in (before, after)]
        assert [date.fromisoformat(d) + week for d in stamps[0]] == [date.fromisoformat(d) for d in stamps[1]]


def test_every_entry_is_an_update_of_a_readable_id() -> None:
    for bundle in bundles():
        assert bundle["type"] == "transaction"
        for entry in bundle["entry"]:
            path = f"{entry['resource']['resourceType']}/{entry['resource']['id']}"
            assert entry["request"] == {"method": "PUT", "url": path}
            assert re.fullmatch(r"[A-Za-z]+/demo-[a-z0-9-]{1,59}", path)


def test_references_lead_to_what_is_there_already_or_comes_in_the_same_transaction() -> None:
    known: set[str] = set()
    for bundle in bundles():
        added = [f"{e['resource']['resourceType']}/{e['resource']['id']}" for e in bundle["entry"]]
        assert not known & set(added)
        known |= set(added)
        for entry in bundle["entry"]:
            assert set(references(entry["resource"])) <= known


def test_what_the_clinic_has() -> None:
    found = Counter(resource["resourceType"] for resource in resources())
    assert found["Patient"] == 20
    assert found["Practitioner"] == found["PractitionerRole"] >= 6
    departments = {"Organization", "HealthcareService", "Location", "Schedule", "Slot", "Appointment", "CareTeam"}
    charts = {"Encounter", "Observation", "Condition", "AllergyIntolerance", "MedicationRequest", "Immunization"}
    papers = {"DiagnosticReport", "DocumentReference", "Binary"}
    assert departments | charts | papers <= found.keys()


def test_record_numbers_and_names_are_unique() -> None:
    patients = [resource for resource in resources() if resource["resourceType"] == "Patient"]
    assert len({p["identifier"][0]["value"] for p in patients}) == len(patients)
    assert len({p["identifier"][1]["value"] for p in patients}) == len(patients)


def test_nobody_takes_what_they_are_allergic_to() -> None:
    contradictions = {("Penicillin", "J01CA04"), ("Aspirin", "B01AC06")}
    allergic: dict[str, set[str]] = {}
    for resource in resources():
        if resource["resourceType"] == "AllergyIntolerance":
            allergic.setdefault(resource["patient"]["reference"], set()).add(resource["code"]["text"])
    for resource in resources():
        if resource["resourceType"] == "MedicationRequest":
            code = resource["medicationCodeableConcept"]["coding"][0]["code"]
            substances = allergic.get(resource["subject"]["reference"], set())
            assert not {(substance, code) for substance in substances} & contradictions


def test_an_appointment_takes_a_busy_slot_of_its_time() -> None:
    slots = {f"Slot/{r['id']}": r for r in resources() if r["resourceType"] == "Slot"}
    booked = [r for r in resources() if r["resourceType"] == "Appointment"]
    taken = [appointment["slot"][0]["reference"] for appointment in booked]
    assert len(set(taken)) == len(taken)
    assert {reference for reference, slot in slots.items() if slot["status"] == "busy"} == set(taken)
    for appointment, reference in zip(booked, taken, strict=True):
        assert (appointment["start"], appointment["end"]) == (slots[reference]["start"], slots[reference]["end"])
