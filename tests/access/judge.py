"""A second reading of Consents, slow and plain: what one Consent says of one resource, from their JSON alone.

What a provision says that nobody here can tell may be so or not: every combination is a world, and a resource is denied
when it is in any of them, permitted when it is in all.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

Json = dict[str, Any]
World = dict[int, bool]

CONSENT_ACTION = "http://terminology.hl7.org/CodeSystem/consentaction"
REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
TYPES = "http://hl7.org/fhir/resource-types"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"

# Where the R4 Patient compartment looks, and what else the judge needs, for the types that are judged.
PATIENTS = {
    "Patient": [],
    "Observation": ["subject", "performer"],
    "Condition": ["subject", "asserter"],
    "Encounter": ["subject"],
    "DocumentReference": ["subject", "author"],
    "AllergyIntolerance": ["patient", "recorder", "asserter"],
    "MedicationRequest": ["subject"],
}
CODES = {
    "Observation": "code",
    "Condition": "code",
    "Encounter": "type",
    "DocumentReference": "type",
    "AllergyIntolerance": "code",
    "MedicationRequest": "medicationCodeableConcept",
}
DATES = {
    "Observation": "effectiveDateTime",
    "Condition": "onsetDateTime",
    "Encounter": "period",
    "DocumentReference": "date",
    "AllergyIntolerance": "recordedDate",
    "MedicationRequest": "authoredOn",
}
WROTE = {
    "Condition": ["asserter"],
    "DocumentReference": ["author"],
    "AllergyIntolerance": ["recorder", "asserter"],
    "MedicationRequest": ["requester"],
}
DID = {"Observation": ["performer"], "Encounter": ["participant"]}
REFERS = {
    "Observation": ["subject", "performer", "encounter"],
    "Condition": ["subject", "asserter", "encounter"],
    "Encounter": ["subject", "participant"],
    "DocumentReference": ["subject", "author"],
    "AllergyIntolerance": ["patient", "recorder", "asserter"],
    "MedicationRequest": ["subject", "requester", "encounter"],
}
REASONS_BELOW = {"TREAT": {"TREAT", "ETREAT", "BTG"}, "ETREAT": {"ETREAT", "BTG"}}
SENSITIVE = {"HIV": {"HIV"}, "PSY": {"PSY"}, "SPI": {"SPI", "BH", "PSY"}}
LEVELS = "ULMNRV"
DENIED = {"access": "rusd", "use": "rusd", "disclose": "rusd", "collect": "c", "correct": "ud"}
PERMITTED = {"access": "rs", "use": "rs", "disclose": "rs", "collect": "c", "correct": "u"}


def of_patient(resource: Json, patient: str) -> bool:
    """Whether the resource is in the patient's compartment."""
    if f"{resource['resourceType']}/{resource['id']}" == patient:
        return True
    return any(patient in references(resource, name) for name in PATIENTS[resource["resourceType"]])


def references(resource: Json, name: str) -> list[str]:
    found = resource.get(name, [])
    items = found if isinstance(found, list) else [found]
    return [item.get("individual", item).get("reference", "") for item in items]


def denies(consent: Json, resource: Json, action: str, names: set[str], purpose: str, now: datetime) -> bool:
    """Whether the action on the resource is denied to a caller of these names, in any world."""
    if consent["status"] != "active" or not of_patient(resource, consent["patient"]["reference"]):
        return False
    scope = consent["scope"]["coding"][0]["code"]
    if scope in ("research", "adr"):
        return False
    opted_out = consent.get("policyRule", {}).get("coding", [{}])[0].get("code") == "OPTOUT"
    root = consent.get("provision", {})
    if "type" not in root and not within(root.get("period"), now):
        return False
    asked = (resource, action, names, purpose, now)
    return any(value(root, opted_out, asked, world) for world in worlds(root))


def permits(consent: Json, resource: Json, action: str, names: set[str], purpose: str, now: datetime) -> bool:
    """Whether the Consent permits it to the caller by name, in all worlds, what it denies elsewhere aside."""
    if consent["status"] != "active" or not of_patient(resource, consent["patient"]["reference"]):
        return False
    if consent["scope"]["coding"][0]["code"] in ("research", "adr"):
        return False
    root = consent.get("provision", {})
    if "type" not in root and not within(root.get("period"), now):
        return False
    asked = (resource, action, names, purpose, now)
    return any(all(permitted(path, asked, world) for world in worlds(root)) for path in paths(root))


def provisions(root: Json) -> Iterator[Json]:
    yield root
    for one in root.get("provision", []):
        yield from provisions(one)


def paths(root: Json) -> Iterator[list[Json]]:
    yield [root]
    for one in root.get("provision", []):
        for rest in paths(one):
            yield [root, *rest]


def worlds(root: Json) -> Iterator[World]:
    every = [id(one) for one in provisions(root)]
    for values in product((True, False), repeat=len(every)):
        yield dict(zip(every, values, strict=True))


def value(provision: Json, otherwise: bool, asked: Any, world: World, *, nested: bool = False) -> bool:
    """Whether it is denied by the provision, in what `otherwise` is denied or not."""
    if not fits(provision, asked, world):
        return otherwise
    own = {"deny": True, "permit": False}.get(provision.get("type", ""), otherwise)
    fitting = [one for one in provision.get("provision", []) if fits(one, asked, world)]
    if not fitting:
        return own
    return any(value(one, own, asked, world, nested=True) for one in fitting)


def permitted(path: list[Json], asked: Any, world: World) -> bool:
    named = any(set(given(one)) & asked[2] for one in path)
    return path[-1].get("type") == "permit" and named and all(fits(one, asked, world) for one in path)


def given(provision: Json) -> list[str]:
    return [one["reference"].get("reference", "") for one in provision.get("actor", [])]


def fits(provision: Json, asked: Any, world: World) -> bool:
    """Whether all criteria fit; what cannot be told is as the world has it."""
    verdicts = list(criteria(provision, asked))
    if False in verdicts:
        return False
    return world[id(provision)] if None in verdicts else True


def some(verdicts: list[bool | None]) -> bool | None:
    return True if True in verdicts else None if None in verdicts else False


def criteria(provision: Json, asked: Any) -> Iterator[bool | None]:
    resource, action, names, purpose, now = asked
    kind = provision.get("type")
    yield within(provision.get("period"), now)
    if "actor" in provision:
        yield some([actor(one, kind, names) for one in provision["actor"]])
    if "purpose" in provision:
        yield some([serves(one, purpose) for one in provision["purpose"]])
    if "action" in provision:
        yield some([acts(one, kind, action) for one in provision["action"]])
    if "class" in provision:
        yield some([is_class(one, resource) for one in provision["class"]])
    if "securityLabel" in provision:
        yield some([labelled(one, kind, resource) for one in provision["securityLabel"]])
    if "code" in provision:
        yield some([coded(one, resource) for one in provision["code"]])
    if "dataPeriod" in provision:
        yield dated(provision["dataPeriod"], resource)
    if "data" in provision:
        yield some([data(one, resource) for one in provision["data"]])


def actor(one: Json, kind: str | None, names: set[str]) -> bool | None:
    target = one["reference"].get("reference")
    if target is None or target.startswith("Group/"):
        return None
    if target.startswith("http"):
        return False
    receives = one["role"]["coding"][0]["code"] in ("PRCP", "IRCP")
    return None if target in names and kind == "permit" and not receives else target in names


def serves(one: Json, purpose: str) -> bool | None:
    if one["system"] != REASON or not purpose:
        return None
    return purpose in REASONS_BELOW.get(one["code"], {one["code"]})


def acts(one: Json, kind: str | None, action: str) -> bool | None:
    if not one.get("coding") or one["coding"][0]["system"] != CONSENT_ACTION:
        return None
    code = one["coding"][0]["code"]
    if kind == "deny":
        return action in DENIED[code]
    # Without a type it may be either.
    return True if action in PERMITTED[code] else None if kind is None else False


def is_class(one: Json, resource: Json) -> bool | None:
    return one["code"] == resource["resourceType"] if one["system"] == TYPES else None


def labelled(one: Json, kind: str | None, resource: Json) -> bool | None:
    there = {(label["system"], label["code"]) for label in resource.get("meta", {}).get("security", [])}
    if (one["system"], one["code"]) in there:
        return True
    if kind == "permit":
        return False
    confidentiality = one["system"] == CONFIDENTIALITY
    below = set(LEVELS[LEVELS.index(one["code"]) :]) if confidentiality else SENSITIVE[one["code"]]
    found = any((one["system"], code) in there for code in below)
    return None if kind is None else found


def coded(one: Json, resource: Json) -> bool | None:
    if resource["resourceType"] == "Patient":
        return False
    concept = resource.get(CODES[resource["resourceType"]])
    concepts = concept if isinstance(concept, list) else [concept] if concept else []
    codings = [(coding["system"], coding["code"]) for each in concepts for coding in each.get("coding", [])]
    if not one.get("coding"):
        return None
    if (one["coding"][0]["system"], one["coding"][0]["code"]) in codings:
        return True
    return False if codings else None


def dated(span: Json, resource: Json) -> bool | None:
    if resource["resourceType"] == "Patient":
        return False
    found = resource.get(DATES[resource["resourceType"]])
    if found is None:
        return None
    first, last = ends(found) if isinstance(found, dict) else (days(found)[0], days(found)[1])
    low, high = ends(span)
    if low <= first and last <= high:
        return True
    return None if first <= high and low <= last else False


def data(one: Json, resource: Json) -> bool | None:
    target = one["reference"].get("reference")
    if target is None or one["meaning"] == "related":
        return True if target == f"{resource['resourceType']}/{resource['id']}" else None
    type_ = resource["resourceType"]
    if one["meaning"] == "authoredby":
        if type_ == "Patient":
            return False
        if any(target in references(resource, name) for name in WROTE.get(type_, [])):
            return True
        if any(target in references(resource, name) for name in DID.get(type_, [])):
            return None
        return False if type_ in WROTE or type_ in DID else None
    if target == f"{type_}/{resource['id']}":
        return True
    if one["meaning"] == "dependents":
        return any(target in references(resource, name) for name in REFERS.get(type_, []))
    return False


def within(period: Json | None, now: datetime) -> bool:
    low, high = ends(period or {})
    return low <= now < high


def ends(period: Json) -> tuple[datetime, datetime]:
    low = days(period["start"])[0] if "start" in period else datetime.min.replace(tzinfo=UTC)
    high = days(period["end"])[1] if "end" in period else datetime.max.replace(tzinfo=UTC)
    return low, high


def days(text: str) -> tuple[datetime, datetime]:
    start = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return start, start + (timedelta(seconds=1) if "T" in text else timedelta(days=1))
