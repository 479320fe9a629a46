"""What is arranged and written around a patient: appointments, a care team, a letter."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import date, timedelta

from fhir_server.demo.codes import LOINC, PROBLEMS, SNOMED, Json, concept, moment, reference, resource
from fhir_server.demo.house import CALENDARS, HOURS, NAME
from fhir_server.demo.patient import subject
from fhir_server.demo.patients import PATIENTS
from fhir_server.demo.people import DEPARTMENT, DISPLAY, Person
from fhir_server.demo.visits import began


def appointments(person: Person, anchor: date) -> Iterator[Json]:
    """The first ten patients have one in the days to come, in the first slot of a day (see house.calendar)."""
    number = PATIENTS.index(person)
    key, day = CALENDARS[number % len(CALENDARS)], number // len(CALENDARS) + 1
    if number >= 10:
        return
    start = moment(anchor + timedelta(days=day), HOURS[0])
    people = (subject(person), reference("Practitioner", key, DISPLAY[key]), reference("Location", DEPARTMENT[key]))
    yield resource(
        "Appointment",
        person.key,
        status="booked",
        description="Follow-up",
        minutesDuration=30,
        serviceType=[concept(SNOMED, "390906007", "Follow-up encounter")],
        slot=[reference("Slot", f"{key}-{day}-{HOURS[0]:02}")],
        start=start.isoformat(),
        end=(start + timedelta(minutes=30)).isoformat(),
        created=moment(anchor, 8).isoformat(),
        participant=[{"actor": who, "required": "required", "status": "accepted"} for who in people],
    )


def care_team(person: Person, anchor: date) -> Iterator[Json]:
    roles = {
        person.visits[0].doctor: ("17561000", "Cardiologist"),
        "adaeze-nwosu": ("59058001", "General physician"),
        "joan-whitaker": ("224535009", "Registered nurse"),
        "samir-haddad": ("46255001", "Pharmacist"),
    }
    members = [
        {"role": [concept(SNOMED, *role)], "member": reference("Practitioner", key, DISPLAY[key])}
        for key, role in roles.items()
    ]
    yield resource(
        "CareTeam",
        person.key,
        status="active",
        name=f"Care team of {person.given[0]} {person.family}",
        subject=subject(person),
        encounter=reference("Encounter", f"{person.key}-1"),
        period={"start": (anchor - timedelta(days=60)).isoformat()},
        participant=members,
        managingOrganization=[reference("Organization", "rowan-bay", NAME)],
    )


def letter(person: Person, anchor: date) -> Iterator[Json]:
    """The emergency department's letter, as text in a Binary that a DocumentReference describes."""
    number, visit = next((n, v) for n, v in enumerate(person.visits, 1) if v.kind == "emergency")
    when = began(visit, anchor) + timedelta(hours=4)
    reason = PROBLEMS[visit.reason][1] if visit.reason else "Minor injury"
    name = f"{person.given[0]} {person.family}"
    lines = [f"{NAME}, Emergency Department", f"Patient: {name}", f"Seen: {when.date()}", f"Reason: {reason}"]
    data = base64.b64encode("\n".join([*lines, "Discharged home.", ""]).encode()).decode()
    yield resource("Binary", f"{person.key}-letter", contentType="text/plain", data=data)
    attachment = {"contentType": "text/plain", "language": "en", "url": f"Binary/demo-{person.key}-letter"}
    yield resource(
        "DocumentReference",
        f"{person.key}-letter",
        status="current",
        docStatus="final",
        subject=subject(person),
        type=concept(LOINC, "34878-9", "Emergency medicine Note"),
        date=when.isoformat(),
        author=[reference("Practitioner", visit.doctor, DISPLAY[visit.doctor])],
        description=f"Emergency visit: {reason}",
        content=[{"attachment": attachment | {"title": "Emergency letter", "creation": when.isoformat()}}],
        context={"encounter": [reference("Encounter", f"{person.key}-{number}")]},
    )
