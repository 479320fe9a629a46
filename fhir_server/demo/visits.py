"""A visit to the clinic: when it began, and its Encounter."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from fhir_server.demo.codes import HL7, SNOMED, VISITS, Json, concept, moment, reference, resource
from fhir_server.demo.patient import subject
from fhir_server.demo.people import DEPARTMENT, DISPLAY, Person, Visit


def began(visit: Visit, anchor: date) -> datetime:
    """When a visit began."""
    hour = 9 + visit.days % 6 if visit.kind != "emergency" else 21
    return moment(anchor - timedelta(days=visit.days), hour, 15 * (visit.days % 4))


def encounter(person: Person, visit: Visit, number: int, anchor: date) -> Json:
    """A visit; an admission of the last days is still going on, in a bed."""
    code, display, type_code, type_display, minutes = VISITS[visit.kind]
    start = began(visit, anchor)
    end = start + timedelta(minutes=minutes)
    inside = end > moment(anchor, 12)
    department = DEPARTMENT[visit.doctor]
    where = reference("Location", "bed-2-1" if visit.kind == "admission" else department)
    performer = concept(f"{HL7}/v3-ParticipationType", "PPRF", "primary performer")
    known = visit.reason in {key for key, *_ in person.problems}
    return resource(
        "Encounter",
        f"{person.key}-{number}",
        status="in-progress" if inside else "finished",
        subject=subject(person),
        class_={"system": f"{HL7}/v3-ActCode", "code": code, "display": display},
        type=[concept(SNOMED, type_code, type_display)],
        participant=[
            {"type": [performer], "individual": reference("Practitioner", visit.doctor, DISPLAY[visit.doctor])}
        ],
        period={"start": start.isoformat()} | ({} if inside else {"end": end.isoformat()}),
        reasonReference=[reference("Condition", f"{person.key}-{visit.reason}")] if known else None,
        location=[{"location": where, "status": "active" if inside else "completed"}],
        serviceProvider=reference("Organization", department),
    )
