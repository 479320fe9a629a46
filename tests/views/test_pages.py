"""Every page that the navigation and its links lead to, in the light and the dark, on a desk and on a phone.

axe finds nothing on any, nothing is wider than the screen, and a picture of each is kept in build/screenshots.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from scripts.views import SOURCE
from tests.views.conftest import People
from tests.views.people import arrived, calling, violations, wrong
from tests.workflows.clinic import CARDIOLOGY, DORA, NICK, Clinic, case

CONSULTATION = "http://fhir-server.example/ig/CodeSystem/consultation-type"
SNOMED = "http://snomed.info/sct"
TABS = ("trends", "documents", "timeline")
# Paths for each route of pages/*/page.ts; `seen` knows the ids.
PATHS = {
    "worklist": ["worklist?whose=all"],
    "cases/new": ["cases/new"],
    "cases/:id": ["cases/{case}"],
    "patients": ["patients"],
    "patients/:id": [
        "patients/{patient}",
        *(f"patients/{{patient}}#{tab}" for tab in ("trends", "documents", "timeline")),
    ],
    "referrals": ["referrals"],
    "referrals/:id": ["referrals/{referral}"],
    "records": ["records"],
    "records/:id": ["records/{record}"],
    "notifications": ["notifications"],
    "emergencies": ["emergencies"],
    "emergencies/:id": ["emergencies/{emergency}"],
    "team": ["team"],
    "apps": ["apps"],
    "consultations/:id": ["consultations/{consultation}", "consultations/{case}"],  # a call, and what is none
}
ROUTE = re.compile(r'path: "([^"]+)"')


@pytest.fixture(scope="module")
def seen(clinic: Clinic) -> Iterator[dict[str, str]]:
    """Something of everything, by id."""
    patient = clinic.patient("iris")
    with calling(clinic, "dora") as http:

        def post(path: str, resource: dict[str, object]) -> str:
            answer = http.post(f"/{path}", json=resource)
            assert answer.status_code == 201, answer.text
            return str(answer.json()["id"])

        opened = post("Encounter", case(patient, DORA, NICK, reasonCode=[{"text": "Chest pain since this morning"}]))
        for text in ("Troponin is normal.", "Stress test at ten."):
            post("Communication", message(opened, text))
        request = post("ServiceRequest", referral(patient))
        task = http.get(f"/Task?focus=ServiceRequest/{request}").json()["entry"][0]["resource"]["id"]
        flag = post("Flag", emergency(patient))
        consultation = post("Encounter", call(patient, opened))
        record = post("DocumentReference", document(patient, opened))
        for value in (82, 88, 96):
            post("Observation", pulse(patient, value))
    with calling(clinic, "dan") as http:
        given = http.post("/DocumentReference", json=document(patient, opened)).json()["id"]
        level, actor = {"name": "level", "valueCode": "full"}, {"name": "actor", "valueReference": {"reference": DORA}}
        share = {"resourceType": "Parameters", "parameter": [actor, level]}
        assert http.post(f"/DocumentReference/{given}/$share", json=share).status_code == 200
    yield {
        "patient": patient.partition("/")[2],
        "case": opened,
        "referral": str(task),
        "emergency": flag,
        "consultation": consultation,
        "record": record,
    }
    over = [{"op": "replace", "path": "/status", "value": "inactive"}]  # or it would alarm everybody in later tests
    with calling(clinic, "dora") as http:
        patch = {"Content-Type": "application/json-patch+json"}
        assert http.patch(f"/Flag/{flag}", json=over, headers=patch).status_code == 200


def message(of: str, text: str) -> dict[str, object]:
    kind = {"system": "http://fhir-server.example/ig/CodeSystem/message-kind", "code": "discussion"}
    return {
        "resourceType": "Communication",
        "status": "completed",
        "category": [{"coding": [kind]}],
        "encounter": {"reference": f"Encounter/{of}"},
        "payload": [{"contentString": text}],
    }


def referral(patient: str) -> dict[str, object]:
    return {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "category": [{"coding": [{"system": SNOMED, "code": "3457005"}]}],
        "code": {"text": "Assessment of chest pain"},
        "priority": "urgent",
        "subject": {"reference": patient},
        "performer": [{"reference": CARDIOLOGY}],
    }


def emergency(patient: str) -> dict[str, object]:
    category = {"system": "http://fhir-server.example/ig/CodeSystem/flag-category", "code": "emergency"}
    return {
        "resourceType": "Flag",
        "status": "active",
        "category": [{"coding": [category]}],
        "code": {"text": "Chest pain"},
        "subject": {"reference": patient},
    }


def document(patient: str, of: str) -> dict[str, object]:
    return {
        "resourceType": "DocumentReference",
        "status": "current",
        "type": {"text": "ECG"},
        "subject": {"reference": patient},
        "date": "2026-03-01T09:30:00Z",
        "content": [{"attachment": {"contentType": "text/plain", "title": "ECG", "data": "c2ludXMgcmh5dGht"}}],
        "context": {"encounter": [{"reference": f"Encounter/{of}"}]},
    }


def pulse(patient: str, value: int) -> dict[str, object]:
    vital = {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [{"coding": [vital]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4", "display": "Heart rate"}]},
        "subject": {"reference": patient},
        "effectiveDateTime": f"2026-03-01T0{value % 10}:00:00Z",
        "valueQuantity": {"value": value, "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min"},
    }


def call(patient: str, of: str) -> dict[str, object]:
    act = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
    return {
        "resourceType": "Encounter",
        "status": "in-progress",
        "class": {"system": act, "code": "VR"},
        "type": [{"coding": [{"system": CONSULTATION, "code": "video"}]}],
        "subject": {"reference": patient},
        "partOf": {"reference": f"Encounter/{of}"},
        "participant": [{"individual": {"reference": DORA}}],
    }


def test_every_route_is_looked_at() -> None:
    routes = {found for file in SOURCE.glob("src/pages/*/page.ts") for found in ROUTE.findall(file.read_text("utf-8"))}
    assert routes == set(PATHS)


def test_pages(people: People, seen: dict[str, str]) -> None:
    dora = people("dora", bypass_csp=True)
    dora.sign_in("worklist?whose=all")
    found: dict[str, dict[str, list[str]]] = {}
    for path in (path for paths in PATHS.values() for path in paths):
        page = dora.open(path.format(**seen))
        settled(page)
        name = re.sub(r"\W+", "-", re.sub(r"[{}]|\?.*", "", path))
        found[path] = wrong(page, f"page-{name}")
    assert {path: faults for path, faults in found.items() if faults} == {}


def settled(page: Page) -> None:
    """Wait until nothing says that it is loading."""
    arrived(page)
    expect(page.get_by_role("status", name="Loading")).to_have_count(0)


def test_what_axe_must_find(people: People) -> None:
    dora = people("dora", bypass_csp=True)
    page = dora.sign_in("worklist")
    page.evaluate("document.querySelector('main').insertAdjacentHTML('beforeend', '<img src=\"/static/icon.svg\">')")
    assert any(one.startswith("image-alt") for one in violations(page))
