"""What claims a US Core profile and breaks it is refused at the level `profiles`, and accepted at `structure`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from fhir_server.config import Settings
from tests.conftest import serve

Json = dict[str, Any]
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/"


@pytest.fixture(scope="module")
def settings(mongo_uri: str, database: str, tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Settings:
    return Settings(
        port=0,
        data_dir=tmp_path_factory.mktemp("us-core"),
        mongodb_uri=mongo_uri,
        database=database,
        validation="profiles",
        packages=str(shared / "packages" / "hl7.fhir.us.core-6.1.0.tgz"),
    )


@pytest.fixture(scope="module")
def lenient(settings: Settings, server: str) -> Iterator[str]:
    """The same database behind a process that looks at structure alone."""
    with serve(settings.model_copy(update={"validation": "structure"})) as base:
        yield base


def pulse(**more: Any) -> Json:
    """A pulse oximetry as US Core wants it."""
    flow = {
        "code": {"coding": [{"system": "http://loinc.org", "code": "3151-8"}]},
        "valueQuantity": {"value": 6, "unit": "l/min", "system": "http://unitsofmeasure.org", "code": "L/min"},
    }
    category = {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}
    codes = [{"system": "http://loinc.org", "code": code} for code in ("59408-5", "2708-6")]
    return {
        "resourceType": "Observation",
        "meta": {"profile": [US_CORE + "us-core-pulse-oximetry"]},
        "status": "final",
        "category": [{"coding": [category]}],
        "code": {"coding": codes},
        "subject": {"reference": "Patient/p"},
        "effectiveDateTime": "2026-01-01",
        "valueQuantity": {"value": 96, "unit": "%", "system": "http://unitsofmeasure.org", "code": "%"},
        "component": [flow],
        **more,
    }


def problem(**more: Any) -> Json:
    """A problem list item as US Core wants it."""
    category = {"system": "http://terminology.hl7.org/CodeSystem/condition-category", "code": "problem-list-item"}
    status = {"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}
    return {
        "resourceType": "Condition",
        "meta": {"profile": [US_CORE + "us-core-condition-problems-health-concerns"]},
        "clinicalStatus": {"coding": [status]},
        "category": [{"coding": [category]}],
        "code": {"text": "Asthma"},
        "subject": {"reference": "Patient/p"},
        **more,
    }


def coding(system: str, code: str) -> Json:
    return {"coding": [{"system": system, "code": code}]}


def plan(status: str) -> Json:
    """A care plan, with the status of its narrative."""
    return {
        "resourceType": "CarePlan",
        "meta": {"profile": [US_CORE + "us-core-careplan"]},
        "text": {"status": status, "div": '<div xmlns="http://www.w3.org/1999/xhtml">Rest</div>'},
        "status": "active",
        "intent": "plan",
        "category": [coding("http://hl7.org/fhir/us/core/CodeSystem/careplan-category", "assess-plan")],
        "subject": {"reference": "Patient/p"},
    }


BROKEN = {
    "a slice that is needed has another value": (
        pulse(category=[coding("http://example.org", "vital-signs")]),
        ("required", "Observation.category"),
    ),
    "a component's slice has another unit": (
        pulse(
            component=[
                {
                    **pulse()["component"][0],
                    "valueQuantity": {
                        "value": 6,
                        "unit": "ml/min",
                        "system": "http://unitsofmeasure.org",
                        "code": "mL/min",
                    },
                }
            ]
        ),
        ("value", "Observation.component[0].value.ofType(Quantity).code"),
    ),
    "a code that is needed is missing": (
        pulse(code=coding("http://loinc.org", "59408-5")),
        ("required", "Observation.code.coding"),
    ),
    "an element that is needed is missing": (
        {key: value for key, value in problem().items() if key != "code"},
        ("required", "Condition.code"),
    ),
    "a slice of another code": (
        problem(category=[coding("http://terminology.hl7.org/CodeSystem/condition-category", "encounter-diagnosis")]),
        ("required", "Condition.category"),
    ),
    "a code outside of a required binding": (plan(status="extensions"), ("code-invalid", "CarePlan.text.status")),
}


@pytest.mark.parametrize("resource", [pulse(), problem(), plan("generated")], ids=lambda one: one["resourceType"])
def test_what_meets_its_profile_is_accepted(client: httpx.Client, resource: Json) -> None:
    answer = client.post(f"/{resource['resourceType']}", json=resource)
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("name", BROKEN)
def test_what_breaks_its_profile_is_refused(client: httpx.Client, name: str) -> None:
    resource, expected = BROKEN[name]
    answer = client.post(f"/{resource['resourceType']}", json=resource)
    assert answer.status_code == 422, answer.text
    assert expected in [(one["code"], one["expression"][0]) for one in answer.json()["issue"]]


@pytest.mark.parametrize("name", BROKEN)
def test_at_the_level_of_structure_it_is_accepted_without_a_warning(lenient: str, name: str) -> None:
    resource, _ = BROKEN[name]
    headers = {"Prefer": "return=OperationOutcome"}
    answer = httpx.post(f"{lenient}/{resource['resourceType']}", json=resource, headers=headers, timeout=60)
    assert answer.status_code == 201, answer.text
    assert [one["severity"] for one in answer.json()["issue"]] == ["information"]
