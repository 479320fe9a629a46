"""The guide in use: its search parameters find its examples, its maps translate, the narrative's requests work."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

import ig
from fhir_server import json
from tests.ig.conftest import DEFINED, EXAMPLES

Json = dict[str, Any]
REQUESTS = sorted(
    line.removeprefix("GET ")
    for page in ig.pages_folder().iterdir()
    for line in page.read_text("utf-8").splitlines()
    if line.startswith("GET ")
)
CANONICAL = "http://fhir-server.example/ig"

# What a request of this guide's own parameters finds among the examples.
FINDS = {
    "Flag?category=emergency&status=active": {"example-emergency"},
    "Flag?priority=PM": {"example-emergency-resolved"},
    "Encounter?priority=UR": {"example-case"},
    "Encounter?class=VR&planned-start=ge2025-06-02&_sort=planned-start": {"example-consultation"},
    "Communication?in-response-to=example-chat": {"example-receipt"},
    "Communication?about=Flag/example-emergency": {"example-alert"},
    "Practitioner?encryption-key=GpitUBNLs-xmY1u1VabAlt9DPhWOW7pyxced68Wa7dU": {"example-cardiologist"},
    "AuditEvent?purpose=BTG": {EXAMPLES["AuditEvent/example-audit-emergency"]["recorded"]},
    "BiologicallyDerivedProduct?blood-group=o-negative&expiration-date=gt2025-07-01": {"example-blood-unit"},
    "BiologicallyDerivedProduct?status=unavailable&product-status=allocated": {"example-blood-unit-allocated"},
    "BiologicallyDerivedProduct?code=red-cells&_sort=expiration-date": {
        "example-blood-unit",
        "example-blood-unit-allocated",
    },
    "BiologicallyDerivedProduct?identifier=W0000 25 123456": {"example-blood-unit"},
    "BiologicallyDerivedProduct?request.requester=Practitioner/example-doctor": {"example-blood-unit-allocated"},
}


@pytest.fixture(scope="module")
def client(guide_server: str) -> Iterator[httpx.Client]:
    """A client of a server that has the examples, too, and has indexed what the guide declares."""
    headers = {"Content-Type": "application/fhir+json", "Prefer": "handling=strict"}
    with httpx.Client(base_url=guide_server, timeout=60, headers=headers) as session:
        entries = [{"request": request(name), "resource": one} for name, one in EXAMPLES.items()]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        answer = session.post("/", content=json.encode(bundle))
        assert answer.status_code == 200, answer.text
        while state(session) != "idle":
            pass
        yield session


def request(name: str) -> Json:
    """Under its id, but an audit entry gets one from the server."""
    is_audit = name.startswith("AuditEvent/")
    return {"method": "POST", "url": "AuditEvent"} if is_audit else {"method": "PUT", "url": name}


def state(client: httpx.Client) -> str:
    said = client.get("/$reindex").json()["parameter"]
    return next(str(one["valueCode"]) for one in said if one["name"] == "state")


def found(client: httpx.Client, request: str) -> set[str]:
    answer = client.get(f"/{request}")
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    own = next(one["url"] for one in bundle["link"] if one["relation"] == "self")
    for parameter in re.findall(r"[?&]([\w.-]+)=", request):
        assert f"{parameter}=" in own  # was understood
    return {one.get("recorded", one["id"]) for one in (entry["resource"] for entry in bundle.get("entry", ()))}


def test_all_of_it_is_installed(client: httpx.Client) -> None:
    for name, one in DEFINED.items():
        assert client.get(f"/{name}").status_code == 200, name
        if "url" in one:
            listed = client.get(f"/{one['resourceType']}", params={"url": one["url"]}).json()
            assert [entry["resource"]["id"] for entry in listed["entry"]] == [one["id"]]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda one: one.partition("?")[0])
def test_a_request_of_the_narrative_works(client: httpx.Client, request_: str) -> None:
    found(client, request_)


@pytest.mark.parametrize("request_", FINDS, ids=lambda one: one.partition("?")[0])
def test_a_search_parameter_finds(client: httpx.Client, request_: str) -> None:
    assert found(client, request_) == FINDS[request_]


def test_every_search_parameter_is_tried() -> None:
    tried = {(request.partition("?")[0], code) for request in FINDS for code in re.findall(r"[?&]([\w-]+)", request)}
    for one in DEFINED.values():
        if one["resourceType"] == "SearchParameter":
            assert (one["base"][0], one["code"]) in tried, one["id"]


def translated(client: httpx.Client, map_: str, code: str) -> list[str]:
    system = f"{CANONICAL}/CodeSystem/{map_.partition('-to-')[0]}"
    query = {"url": f"{CANONICAL}/ConceptMap/{map_}", "system": system, "code": code}
    said = client.get("/ConceptMap/$translate", params=query).json()["parameter"]
    matches = [one["part"] for one in said if one["name"] == "match"]
    return [part["valueCoding"]["code"] for match in matches for part in match if part["name"] == "concept"]


@pytest.mark.parametrize(
    ("map_", "code", "target"),
    [
        ("case-status-to-encounter", "on-hold", "onleave"),
        ("consultation-status-to-encounter", "waiting", "arrived"),
        ("consultation-status-to-appointment", "no-show", "noshow"),
    ],
)
def test_a_status_is_translated(client: httpx.Client, map_: str, code: str, target: str) -> None:
    assert translated(client, map_, code) == [target]


def test_every_value_set_expands(client: httpx.Client) -> None:
    for one in DEFINED.values():
        if one["resourceType"] == "ValueSet":
            answer = client.get("/ValueSet/$expand", params={"url": one["url"]})
            assert answer.status_code == 200, one["id"]
            assert answer.json()["expansion"]["contains"]
    departments = client.get("/ValueSet/$expand", params={"url": f"{CANONICAL}/ValueSet/specialties"}).json()
    assert len(departments["expansion"]["contains"]) == 12


def test_the_statement_names_the_guide(client: httpx.Client) -> None:
    statement = client.get("/metadata").json()
    guide = f"{CANONICAL}/ImplementationGuide/fhir-server.telemedicine"
    assert any(one.startswith(guide) for one in statement["implementationGuide"])
