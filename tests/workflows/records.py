"""Records and sharing Consents as tests write them, and the calls of $share and $revoke."""

from __future__ import annotations

from typing import Any

from tests.workflows.clinic import Actor, Clinic

Json = dict[str, Any]
GUIDE = "http://fhir-server.example/ig"
LEVEL = f"{GUIDE}/CodeSystem/share-level"
CONFIDENTIAL = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
ECG, SUMMARY = "11524-6", "60591-5"  # LOINC; an emergency needs the second
_TYPES = {"period": "Period", "purpose": "Coding"}
_THO = "http://terminology.hl7.org/CodeSystem"


def content(url: str) -> Json:
    return {"attachment": {"contentType": "text/plain", "url": url}}


def record(patient: str, **more: Any) -> Json:
    """A DocumentReference of the guide's profile, to be posted; its author is who posts it."""
    return {
        "resourceType": "DocumentReference",
        "status": "current",
        "type": {"coding": [{"system": "http://loinc.org", "code": ECG}]},
        "subject": {"reference": patient},
        "date": "2026-01-01T10:00:00Z",
        "content": [content("https://elsewhere.example/ecg")],
        **more,
    }


def consent(patient: str, key: str, *actors: str, level: str = "limited", **provision: Any) -> Json:
    """A sharing Consent of the guide's profile, to be posted."""
    role = {"coding": [{"system": f"{_THO}/v3-ParticipationType", "code": "IRCP"}]}
    return {
        "resourceType": "Consent",
        "meta": {"profile": [f"{GUIDE}/StructureDefinition/sharing-consent"]},
        "status": "active",
        "scope": {"coding": [{"system": f"{_THO}/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": f"{_THO}/v3-ActCode", "code": "INFA"}]}],
        "patient": {"reference": patient},
        "dateTime": "2026-01-01T10:00:00Z",
        "policyRule": {"coding": [{"system": f"{_THO}/v3-ActCode", "code": "OPTIN"}]},
        "provision": {
            "type": "permit",
            "period": {"start": "2026-01-01"},
            "actor": [{"role": role, "reference": {"reference": one}} for one in actors],
            "action": [{"coding": [{"system": LEVEL, "code": level}]}],
            "purpose": [{"system": f"{_THO}/v3-ActReason", "code": "TREAT"}],
            "data": [{"meaning": "instance", "reference": {"reference": key}}],
            **provision,
        },
    }


def parameters(actors: tuple[str, ...] = (), level: str = "", **more: Json) -> Json:
    """Of $share and $revoke; more are `period` and `purpose`."""
    parts: list[Json] = [{"name": "actor", "valueReference": {"reference": one}} for one in actors]
    parts += [{"name": "level", "valueCode": level}] if level else []
    parts += [
        {"name": name, f"value{'Coding' if name == 'purpose' else name.title()}": one} for name, one in more.items()
    ]
    return {"resourceType": "Parameters", **({"parameter": parts} if parts else {})}


async def make(who: Actor, patient: str, **more: Any) -> str:
    """A new record by somebody: "DocumentReference/…"."""
    return f"DocumentReference/{(await who.post('DocumentReference', record(patient, **more)))['id']}"


async def share(
    who: Actor, key: str, *actors: str, level: str = "limited", expect: int = 200, **more: Json
) -> list[Json]:
    """The Consents that $share answers with."""
    return entries(await who.post(f"{key}/$share", parameters(actors, level, **more), expect=expect))


async def revoke(who: Actor, key: str, *actors: str, expect: int = 200) -> list[Json]:
    """The Consents that $revoke has ended."""
    return entries(await who.post(f"{key}/$revoke", parameters(actors), expect=expect))


def entries(bundle: Json) -> list[Json]:
    """The resources of a Bundle; none of another answer."""
    return [one["resource"] for one in bundle.get("entry", ())]


def level_of(one: Json) -> str:
    """The level that a sharing Consent gives."""
    return str(one["provision"]["action"][0]["coding"][0]["code"])


def actors_of(one: Json) -> list[str]:
    """Whom a sharing Consent names."""
    return [actor["reference"]["reference"] for actor in one["provision"]["actor"]]


async def active(clinic: Clinic, key: str) -> list[Json]:
    """The active Consents that name a record, as the administrator finds them."""
    async with clinic.acting("ada") as ada:
        return await ada.found(f"Consent?data={key}&status=active")
