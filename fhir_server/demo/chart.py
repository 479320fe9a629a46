"""One patient's chart: the patient, and everything that is known of them at the demo clinic."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, timedelta

from fhir_server.demo.codes import (
    ATC,
    CVX,
    DRUGS,
    HL7,
    PROBLEMS,
    SNOMED,
    SUBSTANCES,
    UCUM,
    VACCINES,
    Json,
    concept,
    moment,
    reference,
    resource,
)
from fhir_server.demo.observations import laboratory, vitals
from fhir_server.demo.papers import appointments, care_team, letter
from fhir_server.demo.patient import patient, subject
from fhir_server.demo.people import DISPLAY, Person
from fhir_server.demo.visits import began, encounter


def chart(person: Person, anchor: date) -> Iterator[Json]:
    """The resources of one patient, what is referred to first."""
    dice = random.Random(person.key)  # the same every time, and different for each
    yield patient(person, anchor, dice)
    yield from problems(person, anchor)
    yield from allergies(person, anchor)
    for number, visit in enumerate(person.visits, 1):
        yield encounter(person, visit, number, anchor)
        yield from vitals(person, visit, f"{person.key}-{number}", began(visit, anchor), dice)
    if person.labs:
        yield from laboratory(person, f"{person.key}-1", began(person.visits[0], anchor) + timedelta(hours=1))
    yield from prescriptions(person, anchor)
    yield from immunizations(person, anchor)
    yield from appointments(person, anchor)
    if person.visits[0].kind == "admission" and person.deceased is None:
        yield from care_team(person, anchor)
    if any(visit.kind == "emergency" for visit in person.visits):
        yield from letter(person, anchor)


def problems(person: Person, anchor: date) -> Iterator[Json]:
    for key, since, ended in person.problems:
        state = ("active", "Active") if ended is None else ("resolved", "Resolved")
        yield resource(
            "Condition",
            f"{person.key}-{key}",
            subject=subject(person),
            code=concept(SNOMED, *PROBLEMS[key]),
            clinicalStatus=concept(f"{HL7}/condition-clinical", *state),
            verificationStatus=concept(f"{HL7}/condition-ver-status", "confirmed", "Confirmed"),
            category=[concept(f"{HL7}/condition-category", "problem-list-item", "Problem List Item")],
            onsetDateTime=(anchor - timedelta(days=since)).isoformat(),
            abatementDateTime=None if ended is None else (anchor - timedelta(days=ended)).isoformat(),
            recordedDate=(anchor - timedelta(days=since)).isoformat(),
            recorder=reference("Practitioner", person.visits[0].doctor, DISPLAY[person.visits[0].doctor]),
        )


def allergies(person: Person, anchor: date) -> Iterator[Json]:
    for key in person.allergies:
        code, display, category, reaction, manifestation, severity = SUBSTANCES[key]
        yield resource(
            "AllergyIntolerance",
            f"{person.key}-{key}",
            patient=subject(person),
            code=concept(SNOMED, code, display),
            clinicalStatus=concept(f"{HL7}/allergyintolerance-clinical", "active", "Active"),
            verificationStatus=concept(f"{HL7}/allergyintolerance-verification", "confirmed", "Confirmed"),
            type="intolerance" if key == "milk" else "allergy",
            category=[category],
            criticality="high" if severity == "severe" else "low",
            recordedDate=(anchor - timedelta(days=person.visits[-1].days)).isoformat(),
            reaction=[{"manifestation": [concept(SNOMED, reaction, manifestation)], "severity": severity}],
        )


def prescriptions(person: Person, anchor: date) -> Iterator[Json]:
    doctor = person.visits[0].doctor
    for keys, status, visit in ((person.drugs, "active", 0), (person.past_drugs, "completed", -1)):
        for key in keys:
            code, name, amount, times = DRUGS[key]
            unit = {"unit": "unit", "code": "[iU]"} if "units/mL" in name else {"unit": "dose", "code": "{dose}"}
            dose = {"doseQuantity": {"value": amount, "system": UCUM} | unit}
            repeat = {"frequency": times, "period": 1, "periodUnit": "d"}
            yield resource(
                "MedicationRequest",
                f"{person.key}-{key}",
                status=status,
                intent="order",
                subject=subject(person),
                medicationCodeableConcept=concept(ATC, code, name),
                encounter=reference("Encounter", f"{person.key}-{len(person.visits) if visit else 1}"),
                authoredOn=began(person.visits[visit], anchor).isoformat(),
                requester=reference("Practitioner", doctor, DISPLAY[doctor]),
                dosageInstruction=[
                    {
                        "text": f"{amount} {unit['unit']}{'s' * (amount > 1)}, {times} times a day",
                        "timing": {"repeat": repeat},
                        "doseAndRate": [dose],
                    }
                ],
            )


def immunizations(person: Person, anchor: date) -> Iterator[Json]:
    for key, days in person.vaccines:
        yield resource(
            "Immunization",
            f"{person.key}-{key}",
            status="completed",
            patient=subject(person),
            primarySource=True,
            vaccineCode=concept(CVX, *VACCINES[key]),
            occurrenceDateTime=moment(anchor - timedelta(days=days), 10).isoformat(),
            lotNumber=f"RB{days:04}",
            performer=[{"actor": reference("Practitioner", "joan-whitaker", DISPLAY["joan-whitaker"])}],
            location=reference("Location", "general"),
        )
