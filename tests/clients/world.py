"""Two patients of one clinic, their doctor, and everybody's passwords."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

PASSWORDS = {"dora": "violet-harbour-sextant-41", "ann": "copper-lantern-meadow-87"}
ANN, BEN, DORA = "Patient/ann", "Patient/ben", "Practitioner/dora"
ANN_NAME, BEN_NAME = "Ann Archer", "Ben Booker"
TEAM = "http://terminology.hl7.org/CodeSystem/care-team-category"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
UNITS = "http://unitsofmeasure.org"


def patient(id_: str, given: str, family: str) -> Json:
    return {"resourceType": "Patient", "id": id_, "name": [{"given": [given], "family": family}], "active": True}


def observation(id_: str, subject: str, name: str, value: float, unit: str) -> Json:
    """A measurement of the category vital-signs, in a UCUM unit; without an id, one that is yet to be stored."""
    return {
        "resourceType": "Observation",
        **({"id": id_} if id_ else {}),
        "status": "final",
        "category": [{"coding": [{"system": CATEGORY, "code": "vital-signs"}]}],
        "code": {"text": name},
        "subject": {"reference": subject},
        "valueQuantity": {"value": value, "unit": unit, "system": UNITS, "code": unit},
    }


def care_team(subject: str) -> Json:
    return {
        "resourceType": "CareTeam",
        "id": f"team-{subject.partition('/')[2]}",
        "status": "active",
        "subject": {"reference": subject},
        "participant": [{"member": {"reference": DORA}}],
    }


def encounter(id_: str, subject: str) -> Json:
    return {
        "resourceType": "Encounter",
        "id": id_,
        "status": "in-progress",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": {"reference": subject},
        "participant": [{"individual": {"reference": DORA}}],
    }


RESOURCES = [
    {"resourceType": "Practitioner", "id": "dora", "name": [{"given": ["Dora"], "family": "Dale"}]},
    patient("ann", "Ann", "Archer"),
    patient("ben", "Ben", "Booker"),
    care_team(ANN),
    care_team(BEN),
    encounter("ann-visit", ANN),
    observation("ann-1", ANN, "Body weight", 61.5, "kg"),
    observation("ann-2", ANN, "Body height", 168, "cm"),
    observation("ann-3", ANN, "Heart rate", 64, "/min"),
    observation("ben-1", BEN, "Body weight", 82, "kg"),
]
MEASURED = ["Body height: 168 cm", "Body weight: 61.5 kg", "Heart rate: 64 /min"]  # of Ann


def transaction() -> Json:
    """All of it, each under its id."""
    entries = [
        {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}}
        for one in RESOURCES
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}
