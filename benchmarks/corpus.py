"""Realistic resources of about the size of Synthea's, the same ones for the same seed.

Each type has a few hundred variants, written once as JSON bytes; a resource is a variant with its serial number
and the ids of the patient, encounter and practitioner it belongs to filled in, which takes about a microsecond.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from benchmarks import vocabulary as words

Json = dict[str, Any]
VARIANTS = 200
SYSTEM = "https://bench.example/mrn"
EPOCH = datetime(2021, 1, 1, tzinfo=UTC)
TYPES = {"Observation": 50, "Patient": 20, "Condition": 15, "Encounter": 10, "MedicationRequest": 5}


class Refs(NamedTuple):
    """What a resource refers to, each as it is written in `reference`: "Patient/1" or "urn:uuid:…"."""

    patient: str
    encounter: str
    practitioner: str


class Corpus:
    """Resources by type and serial number."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._variants = {kind: self._make(kind, maker) for kind, maker in MAKERS.items()}

    def body(self, kind: str, serial: int, refs: Refs, id: str | None = None) -> bytes:
        """The JSON of resource number `serial` of a type, with `id` for an update."""
        text = self._variants[kind][serial % VARIANTS]
        text = text.replace(b"@serial@", b"%d-%d" % (self.seed, serial))
        if kind not in UNREFERRING:
            text = text.replace(b"@patient@", refs.patient.encode()).replace(b"@encounter@", refs.encounter.encode())
            text = text.replace(b"@practitioner@", refs.practitioner.encode())
        if id is None:
            return text
        start = text.index(b",")  # after "resourceType"
        return b'%b,"id":"%b"%b' % (text[:start], id.encode(), text[start:])

    def _make(self, kind: str, maker: Callable[[random.Random], Json]) -> list[bytes]:
        dice = random.Random(f"{self.seed}/{kind}")
        return [msgspec.json.encode({"resourceType": kind} | maker(dice)) for _ in range(VARIANTS)]


def narrative(text: str) -> Json:
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{text}</div>'}


def concept(system: str, code: str, display: str) -> Json:
    return {"coding": [{"system": system, "code": code, "display": display}], "text": display}


def moment(dice: random.Random) -> datetime:
    """A time within three years, whole seconds, UTC."""
    return EPOCH + timedelta(seconds=dice.randrange(3 * 365 * 86400))


def patient(dice: random.Random) -> Json:
    gender = dice.choice(["female", "male"])
    given, family = dice.choice(words.GIVEN), dice.choice(words.FAMILY)
    city, state, postal = dice.choice(words.CITIES)
    latitude, longitude = round(dice.uniform(41, 43), 6), round(dice.uniform(-73, -70), 6)
    born = datetime(1930, 1, 1) + timedelta(days=dice.randrange(92 * 365))
    where = [{"url": "latitude", "valueDecimal": latitude}, {"url": "longitude", "valueDecimal": longitude}]
    return {
        "text": narrative(f"Patient of the load program. {given} {family}, born {born:%d %B %Y} in {city}, {state}."),
        "extension": extensions(dice, gender, city, state),
        "identifier": identifiers(dice),
        "active": True,
        "name": [{"use": "official", "family": family, "given": [given, dice.choice(words.GIVEN)]}],
        "telecom": [
            {"system": "phone", "value": f"555-{dice.randrange(200, 999)}-{dice.randrange(10000):04}", "use": "home"},
            {"system": "email", "value": f"{given}.{family}@mail.example".lower().replace(" ", ""), "use": "home"},
        ],
        "gender": gender,
        "birthDate": f"{born:%Y-%m-%d}",
        "address": [
            {
                "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/geolocation", "extension": where}],
                "line": [f"{dice.randrange(1, 999)} {dice.choice(words.STREETS)}"],
                "city": city,
                "state": state,
                "postalCode": postal,
                "country": "US",
            }
        ],
        "maritalStatus": concept(f"{words.HL7}/v3-MaritalStatus", *dice.choice(words.MARITAL)),
        "multipleBirthBoolean": False,
        "communication": [{"language": concept("urn:ietf:bcp:47", *dice.choice(words.LANGUAGES))}],
    }


def extensions(dice: random.Random, gender: str, city: str, state: str) -> list[Json]:
    """The extensions a US Core patient has: race, ethnicity, birth sex, place of birth, mother's name."""
    found: list[Json] = []
    for name, choices in (("race", words.RACES), ("ethnicity", words.ETHNICITIES)):
        code, display = dice.choice(choices)
        coding = {"system": "urn:oid:2.16.840.1.113883.6.238", "code": code, "display": display}
        parts = [{"url": "ombCategory", "valueCoding": coding}, {"url": "text", "valueString": display}]
        found.append({"url": f"{words.US_CORE}/us-core-{name}", "extension": parts})
    born = {"city": city, "state": state, "country": "US"}
    mother = f"{dice.choice(words.GIVEN)} {dice.choice(words.FAMILY)}"
    return [
        *found,
        {"url": f"{words.US_CORE}/us-core-birthsex", "valueCode": gender[0].upper()},
        {"url": "http://hl7.org/fhir/StructureDefinition/patient-birthPlace", "valueAddress": born},
        {"url": "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName", "valueString": mother},
    ]


def identifiers(dice: random.Random) -> list[Json]:
    ssn = f"999-{dice.randrange(10, 99)}-{dice.randrange(1000, 9999)}"
    found = [("MR", SYSTEM, "MRN-@serial@"), ("SS", "http://hl7.org/fhir/sid/us-ssn", ssn)]
    found += [("DL", "urn:oid:2.16.840.1.113883.4.3.25", f"S999{dice.randrange(10000, 99999)}")]
    return [
        {"type": concept(f"{words.HL7}/v2-0203", code, words.IDENTIFIERS[code]), "system": system, "value": value}
        for code, system, value in found
    ]


def context() -> Json:
    return {"subject": {"reference": "@patient@"}, "encounter": {"reference": "@encounter@"}}


def observation(dice: random.Random) -> Json:
    code, display, unit, low, high = dice.choice(words.VITALS)
    when = moment(dice)
    low, high = float(low), float(high)
    value = {"value": round(dice.uniform(low, high), 1), "unit": unit, "code": unit, "system": words.UCUM}
    category = concept(f"{words.HL7}/observation-category", "vital-signs", "Vital Signs")
    reference_range = {"low": value | {"value": low}, "high": value | {"value": high}, "text": f"{low:g} to {high:g}"}
    return {
        "text": narrative(f"{display}: {value['value']} {unit}, taken on {when:%d %B %Y at %H:%M}."),
        "identifier": [{"system": "https://bench.example/observation", "value": "OBS-@serial@"}],
        "status": "final",
        "category": [category],
        "code": concept("http://loinc.org", code, display),
        **context(),
        "effectiveDateTime": when.isoformat(),
        "issued": (when + timedelta(minutes=5)).isoformat(timespec="milliseconds"),
        "performer": [{"reference": "@practitioner@"}],
        "valueQuantity": value,
        "referenceRange": [reference_range],
    }


def condition(dice: random.Random) -> Json:
    code, display = dice.choice(words.PROBLEMS)
    when = moment(dice)
    category = concept(f"{words.HL7}/condition-category", "encounter-diagnosis", "Encounter Diagnosis")
    return {
        "text": narrative(f"{display}, since {when:%B %Y}."),
        "identifier": [{"system": "https://bench.example/condition", "value": "CON-@serial@"}],
        "clinicalStatus": concept(f"{words.HL7}/condition-clinical", "active", "Active"),
        "verificationStatus": concept(f"{words.HL7}/condition-ver-status", "confirmed", "Confirmed"),
        "category": [category],
        "code": concept(words.SNOMED, code, display),
        **context(),
        "onsetDateTime": when.isoformat(),
        "recordedDate": when.isoformat(),
    }


def encounter(dice: random.Random) -> Json:
    code, display = dice.choice(words.VISITS)
    start = moment(dice)
    end = start + timedelta(minutes=15 * dice.randrange(1, 9))
    part = concept(f"{words.HL7}/v3-ParticipationType", "PPRF", "primary performer")
    return {
        "text": narrative(f"{display}, {start:%d %B %Y}, {(end - start).seconds // 60} minutes."),
        "identifier": [{"system": "https://bench.example/encounter", "value": "ENC-@serial@"}],
        "status": "finished",
        "class": {"system": f"{words.HL7}/v3-ActCode", "code": "AMB", "display": "ambulatory"},
        "type": [concept(words.SNOMED, code, display)],
        "subject": {"reference": "@patient@"},
        "participant": [{"type": [part], "individual": {"reference": "@practitioner@"}}],
        "period": {"start": start.isoformat(), "end": end.isoformat()},
        "reasonCode": [concept(words.SNOMED, *dice.choice(words.PROBLEMS))],
    }


def medication_request(dice: random.Random) -> Json:
    code, display = dice.choice(words.DRUGS)
    dose = {"doseQuantity": {"value": dice.choice([1, 2]), "unit": "tablet", "system": words.UCUM, "code": "{tbl}"}}
    repeat = {"frequency": dice.choice([1, 2, 3]), "period": 1, "periodUnit": "d"}
    when = moment(dice)
    return {
        "text": narrative(f"{display}, {repeat['frequency']} times a day."),
        "identifier": [{"system": "https://bench.example/prescription", "value": "RX-@serial@"}],
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": concept("http://www.nlm.nih.gov/research/umls/rxnorm", code, display),
        **context(),
        "authoredOn": when.isoformat(),
        "requester": {"reference": "@practitioner@"},
        "dosageInstruction": [{"sequence": 1, "timing": {"repeat": repeat}, "doseAndRate": [dose]}],
    }


def practitioner(dice: random.Random) -> Json:
    given, family = dice.choice(words.GIVEN), dice.choice(words.FAMILY)
    return {
        "identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": "NPI-@serial@"}],
        "active": True,
        "name": [{"family": family, "given": [given], "prefix": ["Dr."]}],
        "telecom": [{"system": "email", "value": f"{given}.{family}@clinic.example".lower(), "use": "work"}],
    }


MAKERS: dict[str, Callable[[random.Random], Json]] = {
    "Patient": patient,
    "Practitioner": practitioner,
    "Encounter": encounter,
    "Observation": observation,
    "Condition": condition,
    "MedicationRequest": medication_request,
}
UNREFERRING = {"Patient", "Practitioner"}
