"""US Core 6.1.0 in a server that has it from its configuration: definitions, search parameters, /metadata."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from fhir_server.config import Settings
from tests.conftest import serve

Json = dict[str, Any]
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition"
RACE = f"{US_CORE}/us-core-race"


@pytest.fixture(scope="module")
def settings(settings: Settings, shared: Path) -> Settings:
    file = shared / "packages" / "hl7.fhir.us.core-6.1.0.tgz"
    if not file.is_file():
        pytest.skip("needs hl7.fhir.us.core-6.1.0.tgz in shared/packages, which is not there")
    return settings.model_copy(update={"packages": str(file)})


@pytest.fixture(scope="module")
def us_core(settings: Settings) -> Iterator[str]:
    """Started twice: the second start finds everything there."""
    with serve(settings) as base, httpx.Client(base_url=base, timeout=60) as client:
        assert client.get("/StructureDefinition", params={"_summary": "count"}).json()["total"] == 59
    with serve(settings) as base:
        yield base


@pytest.fixture
def client(us_core: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=us_core, timeout=60, headers={"Content-Type": "application/fhir+json"}) as session:
        yield session


def test_its_definitions_are_ordinary_resources(client: httpx.Client) -> None:
    found = client.get("/StructureDefinition/us-core-patient").json()
    assert (found["url"], found["version"], found["meta"]["versionId"]) == (f"{US_CORE}/us-core-patient", "6.1.0", "1")
    by_url = client.get("/ValueSet", params={"url": "http://hl7.org/fhir/us/core/ValueSet/omb-race-category"}).json()
    assert [entry["resource"]["id"] for entry in by_url["entry"]] == ["omb-race-category"]


def test_its_search_parameters_find_once_indexed(client: httpx.Client) -> None:
    coding = {"system": "urn:oid:2.16.840.1.113883.6.238", "code": "2106-3"}
    extension = [{"url": RACE, "extension": [{"url": "ombCategory", "valueCoding": coding}]}]
    patient = {"resourceType": "Patient", "id": "white", "extension": extension}
    assert client.put("/Patient/white", content=json.dumps(patient)).status_code == 201
    while state(client) != "idle":
        pass
    # Its expression ends in `.value.code`: a code without its system.
    assert [entry["resource"]["id"] for entry in client.get("/Patient?race=2106-3").json()["entry"]] == ["white"]
    assert "entry" not in client.get("/Patient?race=2028-9").json()


def state(client: httpx.Client) -> str:
    said = client.get("/$reindex").json()["parameter"]
    return next(str(one["valueCode"]) for one in said if one["name"] == "state")


def test_the_statement_names_guide_and_profiles(client: httpx.Client) -> None:
    statement = client.get("/metadata").json()
    assert statement["implementationGuide"] == [
        "http://hl7.org/fhir/us/core/ImplementationGuide/hl7.fhir.us.core|6.1.0"
    ]
    profiles = {one["type"]: one.get("supportedProfile", []) for one in statement["rest"][0]["resource"]}
    assert profiles["Patient"] == [f"{US_CORE}/us-core-patient"]
    assert len(profiles["Observation"]) > 10
    assert profiles["Slot"] == []


def test_the_statement_follows(client: httpx.Client) -> None:
    made = {
        "resourceType": "StructureDefinition",
        "id": "my-slot",
        "url": "http://example.org/my-slot",
        "name": "MySlot",
        "status": "active",
        "kind": "resource",
        "abstract": False,
        "type": "Slot",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Slot",
        "derivation": "constraint",
        "differential": {"element": [{"id": "Slot.comment", "path": "Slot.comment", "min": 1}]},
    }
    assert client.put("/StructureDefinition/my-slot", content=json.dumps(made)).status_code == 201
    assert supported(client, "Slot") == ["http://example.org/my-slot"]
    assert client.delete("/StructureDefinition/my-slot").status_code == 204
    assert supported(client, "Slot") == []


def supported(client: httpx.Client, name: str) -> list[str]:
    resources = client.get("/metadata").json()["rest"][0]["resource"]
    return next(one.get("supportedProfile", []) for one in resources if one["type"] == name)
