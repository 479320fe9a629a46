"""What was measured at a visit: vital signs, and a laboratory report with its results."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

from fhir_server.demo.codes import HL7, LABS, LOINC, VITALS, Json, concept, quantity, reference, resource
from fhir_server.demo.people import Person, Visit

_FLAGS = {"H": "High", "L": "Low", "N": "Normal"}


def vitals(person: Person, visit: Visit, key: str, when: datetime, dice: random.Random) -> Iterator[Json]:
    """The vital signs of one visit, around what is usual for the person; `key` is the encounter's."""
    height, weight, systolic, diastolic = person.body
    weight = max(10, weight + dice.randint(-2, 2) if person.age > 15 else weight)
    unwell = visit.kind in ("emergency", "admission", "symptom")
    measured = {
        "heart-rate": Decimal(dice.randint(62, 84) + 18 * unwell + 25 * (person.age < 6)),
        "respiratory-rate": Decimal(dice.randint(13, 17) + 4 * unwell + 8 * (person.age < 6)),
        "temperature": Decimal(dice.randint(364, 371) + 9 * unwell) / 10,
        "oxygen": Decimal(dice.randint(96, 99) - 4 * unwell),
        "height": Decimal(height),
        "weight": Decimal(weight),
        "bmi": (Decimal(weight) / (Decimal(height) / 100) ** 2).quantize(Decimal("0.1")),
    }
    for name, value in measured.items():
        code, display, unit = VITALS[name]
        yield observed(person, f"{key}-{name}", key, when, "vital-signs", code, display) | {
            "performer": [reference("Practitioner", "joan-whitaker")],
            "valueQuantity": quantity(value, unit),
        }
    pressures = (
        ("8480-6", "Systolic blood pressure", systolic + dice.randint(-6, 8)),
        ("8462-4", "Diastolic blood pressure", diastolic + dice.randint(-4, 5)),
    )
    yield observed(person, f"{key}-blood-pressure", key, when, "vital-signs", "85354-9", "Blood pressure panel") | {
        "performer": [reference("Practitioner", "joan-whitaker")],
        "component": [
            {"code": concept(LOINC, code, display), "valueQuantity": quantity(value, "mm[Hg]")}
            for code, display, value in pressures
        ],
    }


def laboratory(person: Person, key: str, when: datetime) -> Iterator[Json]:
    """The results of one blood sample, and the report that gathers them."""
    results = []
    for name, value in person.labs.items():
        code, display, unit, low, high = LABS[name]
        flag = "L" if Decimal(value) < Decimal(low) else "H" if Decimal(value) > Decimal(high) else "N"
        interpretation = concept(f"{HL7}/v3-ObservationInterpretation", flag, _FLAGS[flag])
        results.append(reference("Observation", f"{key}-{name}", display))
        yield observed(person, f"{key}-{name}", key, when, "laboratory", code, display) | {
            "issued": (when + timedelta(hours=3)).isoformat(),
            "performer": [reference("Practitioner", "luca-ferri")],
            "valueQuantity": quantity(value, unit),
            "interpretation": [interpretation],
            "referenceRange": [{"low": quantity(low, unit), "high": quantity(high, unit)}],
        }
    yield resource(
        "DiagnosticReport",
        f"{key}-laboratory",
        status="final",
        category=[concept(f"{HL7}/v2-0074", "LAB", "Laboratory")],
        code=concept(LOINC, "11502-2", "Laboratory report"),
        subject=reference("Patient", person.key),
        encounter=reference("Encounter", key),
        effectiveDateTime=when.isoformat(),
        issued=(when + timedelta(hours=3)).isoformat(),
        performer=[reference("Organization", "laboratory", "Laboratory")],
        resultsInterpreter=[reference("Practitioner", "luca-ferri")],
        result=results,
    )


def observed(person: Person, id: str, encounter: str, when: datetime, category: str, code: str, display: str) -> Json:
    """What every observation has."""
    words = category.replace("-", " ").title()
    return resource(
        "Observation",
        id,
        status="final",
        category=[concept(f"{HL7}/observation-category", category, words)],
        code=concept(LOINC, code, display),
        subject=reference("Patient", person.key),
        encounter=reference("Encounter", encounter),
        effectiveDateTime=when.isoformat(),
    )
