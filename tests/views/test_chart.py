"""Finding a patient, the chart's tabs, measurements over time, and an app opened with the patient in context."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from smart_auth.clients import Client
from tests.views.conftest import People
from tests.views.people import shot
from tests.workflows.clinic import Clinic

Json = dict[str, Any]
LOINC = "http://loinc.org"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"


def weight(patient: str, number: int) -> Json:
    return {
        "resourceType": "Observation",
        "id": f"{patient.partition('/')[2]}-weight-{number}",
        "status": "final",
        "category": [{"coding": [{"system": CATEGORY, "code": "vital-signs"}]}],
        "code": {"coding": [{"system": LOINC, "code": "29463-7", "display": "Body weight"}], "text": "Body weight"},
        "subject": {"reference": patient},
        "effectiveDateTime": f"2026-0{number}-10T08:00:00Z",
        "valueQuantity": {"value": 70 + number, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
    }


def test_from_a_name_to_the_trend(clinic: Clinic, people: People) -> None:
    patient = clinic.patient("wilma")
    id_ = patient.partition("/")[2]
    clinic.put(
        *(weight(patient, number) for number in (1, 2, 3)),
        {
            "resourceType": "AllergyIntolerance",
            "id": f"{id_}-nuts",
            "patient": {"reference": patient},
            "code": {"text": "Peanuts"},
            "clinicalStatus": {
                "coding": [
                    {"system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active"}
                ]
            },
        },
    )
    page = people("dora").sign_in("patients")
    page.get_by_label("Search").fill(id_.title())
    page.get_by_role("link", name=id_.title()).click()
    banner = page.get_by_role("region", name="Patient")
    expect(banner).to_contain_text("Peanuts")
    last = page.get_by_role("region", name="Last measurements")
    expect(last).to_contain_text("73 kg")
    shot(page, "chart")
    page.get_by_role("tab", name="Trends").click()
    expect(page.get_by_role("figure", name="Body weight over time")).to_be_visible()
    expect(page.get_by_role("row")).to_have_count(4)
    shot(page, "chart-trends")
    page.reload()
    expect(page.get_by_role("tab", name="Trends")).to_have_attribute("aria-selected", "true")
    page.get_by_role("tab", name="Timeline").click()
    expect(page.get_by_text("Nothing has happened yet")).to_be_visible()


@pytest.fixture
def app() -> Iterator[str]:
    """Somebody else's app: a page that can be opened."""

    class App(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b"<!doctype html><html lang=en><title>App</title><h1>The app</h1>"
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), App)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join(60)


def test_an_app_opens_with_the_patient(clinic: Clinic, people: People, app: str) -> None:
    """tests/clients goes on from there: fhirclient takes such a launch."""
    registered = Client("growth", "Growth chart", redirect_uris=(f"{app}/back",), launch_uri=f"{app}/launch")
    clinic.do(lambda auth: auth.clients.add(registered))
    patient = clinic.patient("nora")
    page = people("dora").sign_in(f"patients/{patient.partition('/')[2]}")
    page.get_by_role("link", name="Apps").last.click()
    with page.context.expect_page() as opened:
        page.get_by_role("button", name="Open Growth chart").click()
    there = opened.value
    there.wait_for_url(f"{app}/launch?*")
    expect(there.get_by_role("heading", name="The app")).to_be_visible()
    given = parse_qs(urlsplit(there.url).query)
    assert given["iss"] == [clinic.base]
    context = clinic.do(lambda auth: auth.launches.take(given["launch"][0], "growth", "Practitioner/dora"))
    assert context is not None
    assert context["patient"] == patient.partition("/")[2]
    shot(page, "apps")
