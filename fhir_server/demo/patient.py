"""The Patient resource of one person."""

from __future__ import annotations

import random
from datetime import date, timedelta

from fhir_server.demo.codes import HL7, Json, concept, identifier, moment, reference, resource
from fhir_server.demo.house import NAME, telecom
from fhir_server.demo.patients import PATIENTS
from fhir_server.demo.people import DISPLAY, Person

STREETS = ("Cooper Street", "Fern Hill", "Dock Lane", "Old Mill Road", "Gull Crescent", "Pine Court", "Market Square")
CONTACTS = {"N": "Next-of-Kin", "C": "Emergency Contact"}
MARRIED = {"S": "Never Married", "M": "Married", "D": "Divorced", "W": "Widowed"}


def patient(person: Person, anchor: date, dice: random.Random) -> Json:
    number = PATIENTS.index(person) + 1
    birthday = anchor - timedelta(days=person.age * 1461 // 4 + dice.randrange(20, 340))
    contact = None
    if person.contact:
        code, given, family = person.contact
        kin = concept(f"{HL7}/v2-0131", code, CONTACTS[code])
        contact = [{"relationship": [kin], "name": {"family": family, "given": [given]}, "telecom": phone(number, 3)}]
    home = {"use": "home", "line": [f"{dice.randrange(1, 180)} {dice.choice(STREETS)}"], "city": "Rowan Bay"}
    died = moment(anchor - timedelta(days=person.deceased), 4).isoformat() if person.deceased else None
    language = concept("urn:ietf:bcp:47", *person.language) if person.language else None
    married = concept(f"{HL7}/v3-MaritalStatus", person.married, MARRIED[person.married])
    return resource(
        "Patient",
        person.key,
        identifier=record_numbers(number),
        active=died is None,
        name=names(person),
        telecom=telecom(f"+1 207 555 01{number:02}", f"{person.key}@mail.example", "home"),
        gender=person.gender,
        birthDate=birthday.isoformat(),
        deceasedDateTime=died,
        address=[home | {"state": "ME", "postalCode": f"0499{number % 10}", "country": "US"}],
        maritalStatus=married if person.age > 17 else None,
        contact=contact,
        communication=[{"language": language, "preferred": True}] if language else None,
        generalPractitioner=[reference("Practitioner", "adaeze-nwosu", DISPLAY["adaeze-nwosu"])],
        managingOrganization=reference("Organization", "rowan-bay", NAME),
    )


def record_numbers(number: int) -> list[Json]:
    record = {"use": "usual", "type": concept(f"{HL7}/v2-0203", "MR", "Medical record number")}
    card = {"use": "secondary", "type": concept(f"{HL7}/v2-0203", "MB", "Member Number")}
    mrn, member = f"RB-{number:05}", f"M{7919 * number % 1_000_000:06}"
    return [record | identifier("medical-record-number", mrn), card | identifier("member-number", member)]


def names(person: Person) -> list[Json]:
    """The official name, and the others a person is known by."""
    found: list[Json] = [{"use": "official", "family": person.family, "given": list(person.given)}]
    if person.written:
        found.append({"use": "usual", "text": person.written})
    if person.nickname:
        found.append({"use": "nickname", "given": [person.nickname]})
    if person.maiden:
        found.append({"use": "maiden", "family": person.maiden, "given": list(person.given)})
    return found


def phone(number: int, block: int) -> list[Json]:
    return [{"system": "phone", "value": f"+1 207 555 {block:02}{number:02}", "use": "mobile"}]


def subject(person: Person) -> Json:
    return reference("Patient", person.key, f"{person.given[0]} {person.family}")
