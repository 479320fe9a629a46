"""What the clinic is at work on: cases with their talk, referrals, an emergency, and the notices of the doctor."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any, NamedTuple

from fhir_server.demo.codes import HL7, LOINC, SNOMED, Json, concept, moment, reference, resource
from fhir_server.demo.patient import subject
from fhir_server.demo.patients import PATIENTS
from fhir_server.demo.people import DISPLAY, Person

GUIDE = "http://fhir-server.example/ig"
DOCTOR, NURSE, HEART, URGENT, CHILDREN = (
    "adaeze-nwosu",
    "joan-whitaker",
    "ingrid-solberg",
    "mei-tan",
    "rafael-pinto",
)
PERSONS = {person.key: person for person in PATIENTS}
NUMBERS = 90_000  # of the demo's cases: far from where the server begins to count


class Case(NamedTuple):
    """One case: `days` before the anchor it was opened, and who works on it."""

    person: str
    status: str
    priority: str
    days: int
    symptoms: tuple[str, ...]
    workers: tuple[str, ...]
    diagnosis: str = ""
    plan: str = ""
    said: tuple[tuple[str, str], ...] = ()


CASES = (
    Case(
        "lucia-moreno",
        "in-progress",
        "UR",
        3,
        ("Chest tightness on stairs since last week", "Short of breath when lying flat"),
        (DOCTOR, NURSE),
        diagnosis="Suspected stable angina",
        plan="Rest, aspirin 75 mg daily, stress test by cardiology, blood pressure twice a day.",
        said=(
            (NURSE, "Blood pressure this morning 148/92, pulse 84, no pain at rest."),
            (DOCTOR, "Thank you. The ECG shows no acute changes; I have asked cardiology for a stress test."),
            (NURSE, "She asks whether she may go on with her evening walks."),
            (DOCTOR, "Slowly and on the flat, yes. Stop at any tightness and call us."),
        ),
    ),
    Case("walter-brandt", "triaged", "EM", 1, ("Sudden weight gain, swollen ankles",), (DOCTOR, HEART)),
    Case(
        "kenji-ogawa",
        "onleave",
        "R",
        12,
        ("Tired for weeks",),
        (DOCTOR,),
        said=((DOCTOR, "Waiting for the thyroid panel; back on Thursday."),),
    ),
    Case("beatriz-almeida", "in-progress", "R", 6, ("Dizzy when getting up",), (DOCTOR, NURSE)),
    Case("mateo-rojas", "planned", "UR", 1, ("Fever for three days", "Cough with green sputum"), ()),
    Case("priya-raman", "planned", "R", 2, ("Recurring migraine, three times this month",), ()),
    Case("elias-novak", "triaged", "R", 2, ("Rash on both arms",), (CHILDREN, DOCTOR)),
    Case("george-papadakis", "finished", "R", 20, ("Knee pain after a fall",), (DOCTOR,), diagnosis="Bruised knee"),
)


def work(anchor: date) -> Iterator[Json]:
    """The resources, what is referred to first."""
    for number, one in enumerate(CASES, 1):
        yield from case(one, number, anchor)
    yield from referral("lucia-moreno", DOCTOR, HEART, "urgent", "Stress test and assessment of chest pain", anchor)
    yield from referral("hannah-weiss", CHILDREN, DOCTOR, "routine", "Transition to adult care", anchor)
    yield from emergency(anchor)
    yield from notices(anchor)


def case(one: Case, number: int, anchor: date) -> Iterator[Json]:
    """A case, its symptoms before it, and what belongs to it."""
    person, key = PERSONS[one.person], f"case-{one.person}"
    opened = moment(anchor - timedelta(days=one.days), 10)
    where = reference("Encounter", key)
    symptoms = [f"{key}-symptom-{place}" for place in range(1, len(one.symptoms) + 1)]
    for symptom, text in zip(symptoms, one.symptoms, strict=True):
        yield resource(
            "Observation",
            symptom,
            status="final",
            code={"text": "Symptom"},
            subject=subject(person),
            effectiveDateTime=opened.isoformat(),
            valueString=text,
        )
    if one.diagnosis:
        yield resource(
            "Condition",
            f"{key}-diagnosis",
            clinicalStatus=concept(f"{HL7}/condition-clinical", "active", "Active"),
            code={"text": one.diagnosis},
            subject=subject(person),
            recordedDate=opened.isoformat(),
        )
    yield resource(
        "Encounter",
        key,
        identifier=[{"system": f"{GUIDE}/sid/case-number", "value": f"CASE-{anchor.year}-{NUMBERS + number}"}],
        status=one.status,
        class_={"system": f"{HL7}/v3-ActCode", "code": "VR", "display": "virtual"},
        priority=_coded(f"{HL7}/v3-ActPriority", one.priority),
        subject=subject(person),
        participant=[{"individual": _staff(worker), "period": {"start": opened.isoformat()}} for worker in one.workers]
        or None,
        period={"start": opened.isoformat()}
        | ({"end": (opened + timedelta(days=2)).isoformat()} if one.status == "finished" else {}),
        reasonReference=[
            reference("Observation", symptom, text) for symptom, text in zip(symptoms, one.symptoms, strict=True)
        ],
        diagnosis=[{"condition": reference("Condition", f"{key}-diagnosis", one.diagnosis)}] if one.diagnosis else None,
    )
    if one.workers:
        yield resource(
            "CareTeam",
            key,
            status="active",
            subject=subject(person),
            encounter=where,
            participant=[{"member": _staff(worker)} for worker in one.workers],
        )
    if one.plan:
        yield from _papers(person, key, one, anchor)
    for place, (who, text) in enumerate(one.said, 1):
        yield _message(person, key, place, who, text, one, anchor)


def _papers(person: Person, key: str, one: Case, anchor: date) -> Iterator[Json]:
    """The plan of a case, and its ECG as text."""
    when = moment(anchor - timedelta(days=one.days), 11)
    yield resource(
        "CarePlan",
        key,
        status="active",
        intent="plan",
        title="Plan",
        description=one.plan,
        subject=subject(person),
        encounter=reference("Encounter", key),
        created=when.isoformat(),
        author=_staff(DOCTOR),
    )
    text = "ECG, 12 leads\nSinus rhythm, 84 per minute. Normal axis. No ST changes.\n"
    yield resource(
        "Binary",
        f"{key}-ecg",
        contentType="text/plain",
        securityContext=reference("Encounter", key),
        data=base64.b64encode(text.encode()).decode(),
    )
    yield resource(
        "DocumentReference",
        f"{key}-ecg",
        status="current",
        type=concept(LOINC, "11524-6", "EKG study"),
        subject=subject(person),
        date=when.isoformat(),
        author=[_staff(NURSE)],
        description="ECG at rest",
        content=[{"attachment": {"contentType": "text/plain", "title": "ECG", "url": f"Binary/demo-{key}-ecg"}}],
        context={"encounter": [reference("Encounter", key)]},
    )


def _message(person: Person, key: str, place: int, who: str, text: str, one: Case, anchor: date) -> Json:
    """What one of the team said, which no patient app shows."""
    others = [worker for worker in one.workers if worker != who]
    return resource(
        "Communication",
        f"{key}-{place}",
        meta={"security": [{"system": f"{GUIDE}/CodeSystem/record-label", "code": "team-discussion"}]},
        status="completed",
        category=[_coded(f"{GUIDE}/CodeSystem/message-kind", "discussion")],
        subject=subject(person),
        encounter=reference("Encounter", key),
        sent=moment(anchor - timedelta(days=1), 11, 7 * place).isoformat(),
        sender=_staff(who),
        recipient=[_staff(other) for other in others] or None,
        payload=[{"contentString": text}],
    )


def referral(person: str, asks: str, asked: str, priority: str, what: str, anchor: date) -> Iterator[Json]:
    """A referral that waits for an answer: the request and its task."""
    key, whom = f"referral-{person}", reference("PractitionerRole", asked, DISPLAY[asked])
    when = moment(anchor - timedelta(days=1), 11, 30).isoformat()
    known: dict[str, Any] = {"priority": priority, "authoredOn": when, "requester": _staff(asks)}
    yield resource(
        "ServiceRequest",
        key,
        status="active",
        intent="order",
        category=[concept(SNOMED, "3457005", "Patient referral")],
        code={"text": what},
        subject=subject(PERSONS[person]),
        performer=[whom],
        **known,
    )
    yield resource(
        "Task",
        key,
        status="requested",
        intent="order",
        code={"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}]},
        focus=reference("ServiceRequest", key),
        for_=subject(PERSONS[person]),
        lastModified=when,
        owner=whom,
        **known,
    )


def emergency(anchor: date) -> Iterator[Json]:
    """One that somebody has taken already."""
    person, key = PERSONS["walter-brandt"], "emergency"
    when = moment(anchor - timedelta(days=1), 16)
    priority = {
        "url": "http://hl7.org/fhir/StructureDefinition/flag-priority",
        "valueCodeableConcept": {
            "coding": [{"system": "http://hl7.org/fhir/flag-priority-code", "code": "PM", "display": "Medium priority"}]
        },
    }
    yield resource(
        "Flag",
        key,
        extension=[priority],
        status="active",
        category=[_coded(f"{GUIDE}/CodeSystem/flag-category", "emergency")],
        code={
            "coding": [{"system": f"{GUIDE}/CodeSystem/emergency-kind", "code": "breathing"}],
            "text": "Trouble breathing at home",
        },
        subject=subject(person),
        period={"start": when.isoformat()},
        encounter=reference("Encounter", f"case-{person.key}"),
        author=_staff(NURSE),
    )
    task: dict[str, Any] = {
        "intent": "order",
        "priority": "stat",
        "focus": reference("Flag", key),
        "for_": subject(person),
        "requester": _staff(NURSE),
        "owner": _staff(URGENT),
    }
    yield resource(
        "Task",
        key,
        status="accepted",
        code=_coded(f"{GUIDE}/CodeSystem/task-kind", "emergency"),
        authoredOn=when.isoformat(),
        restriction={"period": {"end": (when + timedelta(minutes=5)).isoformat()}},
        **task,
    )
    answered = (when + timedelta(minutes=2)).isoformat()
    yield resource(
        "Task",
        f"{key}-responder",
        partOf=[reference("Task", key)],
        status="in-progress",
        businessStatus=_coded(f"{GUIDE}/CodeSystem/responder-status", "en-route"),
        code=_coded(f"{GUIDE}/CodeSystem/task-kind", "respond"),
        authoredOn=answered,
        executionPeriod={"start": answered},
        **task,
    )


def notices(anchor: date) -> Iterator[Json]:
    """What the doctor is told of, and has not read."""
    told = {
        "referral-hannah-weiss": ("Task", "You have a new referral."),
        "case-walter-brandt": ("Encounter", "You were assigned to a case."),
    }
    for place, (key, (kind, text)) in enumerate(told.items(), 1):
        yield resource(
            "Communication",
            f"notice-{place}",
            status="in-progress",
            category=[concept(f"{HL7}/communication-category", "notification", "Notification")],
            about=[reference(kind, key)],
            recipient=[_staff(DOCTOR)],
            sent=moment(anchor - timedelta(days=1), 12, place).isoformat(),
            payload=[{"contentString": text}],
        )


def _coded(system: str, code: str) -> Json:
    return {"coding": [{"system": system, "code": code}]}


def _staff(key: str) -> Json:
    return reference("Practitioner", key, DISPLAY[key])
