"""What a write is refused for at the level `profiles`, through a running server, and that changes count at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from fhir_server.config import Settings
from tests.conftest import serve

Json = dict[str, Any]
PROFILE = "http://example.org/fhir/StructureDefinition/named-patient"
ENFORCED = "http://example.org/fhir/StructureDefinition/known-device"


@pytest.fixture(scope="module")
def settings(mongo_uri: str, database: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    data: Path = tmp_path_factory.mktemp("levels")
    return Settings(
        port=0,
        data_dir=data,
        mongodb_uri=mongo_uri,
        database=database,
        validation="profiles",
        enforced_profiles={"Device": [ENFORCED]},
    )


def profile(url: str, type_: str, *elements: Json, **more: Any) -> Json:
    """A profile with a differential alone."""
    return {
        "resourceType": "StructureDefinition",
        "id": url.rpartition("/")[2],
        "url": url,
        "name": "P",
        "status": "active",
        "kind": "resource",
        "abstract": False,
        "type": type_,
        "baseDefinition": f"http://hl7.org/fhir/StructureDefinition/{type_}",
        "derivation": "constraint",
        "differential": {"element": [{"id": type_, "path": type_}, *elements]},
        **more,
    }


def element(path: str, **more: Any) -> Json:
    return {"id": path, "path": path, **more}


def put(client: httpx.Client, resource: Json, status: tuple[int, ...] = (200, 201)) -> Json:
    answer = client.put(f"/{resource['resourceType']}/{resource['id']}", json=resource)
    assert answer.status_code in status, answer.text
    found: Json = answer.json()
    return found


def patient(**more: Any) -> Json:
    return {"resourceType": "Patient", "id": "p", "meta": {"profile": [PROFILE]}, **more}


def issues(outcome: Json) -> list[tuple[str, str, str]]:
    return [(one["severity"], one["code"], one.get("expression", [""])[0]) for one in outcome["issue"]]


def test_a_claimed_profile_is_checked_and_a_changed_one_counts_from_the_next_write(client: httpx.Client) -> None:
    put(client, patient())  # nobody knows the profile yet
    put(client, profile(PROFILE, "Patient", element("Patient.name", min=1)))
    refused = put(client, patient(), (422,))
    assert issues(refused) == [("error", "required", "Patient.name")]
    put(client, patient(name=[{"family": "Quist"}]))
    put(client, profile(PROFILE, "Patient", element("Patient.name", max="0")))
    refused = put(client, patient(name=[{"family": "Quist"}]), (422,))
    assert issues(refused) == [("error", "structure", "Patient.name")]
    assert client.delete(f"/StructureDefinition/{PROFILE.rpartition('/')[2]}").status_code == 204
    put(client, patient(name=[{"family": "Quist"}]))


def test_an_enforced_profile_needs_no_claim(client: httpx.Client) -> None:
    device = {"resourceType": "Device", "id": "d"}
    refused = put(client, device, (422,))
    assert issues(refused) == [("error", "not-found", "Device")]
    put(client, profile(ENFORCED, "Device", element("Device.serialNumber", min=1)))
    refused = put(client, device, (422,))
    assert issues(refused) == [("error", "required", "Device.serialNumber")]
    put(client, {**device, "serialNumber": "1"})


def test_an_invariant_of_r4_is_refused(client: httpx.Client) -> None:
    refused = put(client, {"resourceType": "Patient", "id": "q", "contact": [{"gender": "female"}]}, (422,))
    assert issues(refused) == [("error", "invariant", "Patient.contact[0]")]


def test_a_patch_and_a_transaction_are_checked_as_well(client: httpx.Client) -> None:
    put(client, profile(ENFORCED, "Device", element("Device.serialNumber", min=1)))
    put(client, {"resourceType": "Device", "id": "patched", "serialNumber": "1"})
    answer = client.patch(
        "/Device/patched",
        content='[{"op": "remove", "path": "/serialNumber"}]',
        headers={"Content-Type": "application/json-patch+json"},
    )
    assert answer.status_code == 422, answer.text
    entry = {"resource": {"resourceType": "Device"}, "request": {"method": "POST", "url": "Device"}}
    answer = client.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
    assert answer.status_code == 422, answer.text
    assert issues(answer.json()) == [("error", "required", "Bundle.entry[0].resource.serialNumber")]


def test_an_active_profile_with_an_expression_that_cannot_be_read_is_refused(client: httpx.Client) -> None:
    constraint = {"key": "x-1", "severity": "error", "human": "?", "expression": "name.where("}
    bad = profile(f"{PROFILE}-bad", "Patient", element("Patient.name", constraint=[constraint]))
    refused = put(client, bad, (422,))
    assert issues(refused)[0][2].startswith("StructureDefinition.differential.element[1].constraint[0]")
    put(client, {**bad, "status": "draft"})


@pytest.fixture(scope="module")
def lenient(settings: Settings) -> Iterator[str]:
    """A second process on the same database, at the level `structure`."""
    with serve(settings.model_copy(update={"validation": "structure"})) as base:
        yield base


def test_validate_runs_every_level_whatever_the_servers_own(lenient: str) -> None:
    with httpx.Client(base_url=lenient, timeout=60) as client:
        put(client, {"resourceType": "Device", "id": "accepted"})
        put(client, profile(PROFILE, "Patient", element("Patient.name", min=1)))
        parameters = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": patient()}]}
        answer = client.post("/Patient/$validate", json=parameters)
        assert answer.status_code == 200
        assert ("error", "required", "Patient.name") in issues(answer.json())
        answer = client.post("/Patient/$validate", params={"profile": "http://example.org/none"}, json=patient())
        assert (answer.status_code, issues(answer.json())[0][1]) == (400, "not-found")
        bare = {"resourceType": "Patient", "id": "p"}
        answer = client.post("/Patient/$validate", params={"profile": PROFILE, "mode": "profile"}, json=bare)
        assert ("error", "required", "Patient.name") in issues(answer.json())


def test_the_resources_in_parameters_are_checked_however_deep(lenient: str) -> None:
    with httpx.Client(base_url=lenient, timeout=60) as client:
        put(client, profile(PROFILE, "Patient", element("Patient.name", min=1)))
        inner = {"name": "a", "part": [{"name": "b", "part": [{"name": "c", "resource": patient()}]}]}
        resource = {"resourceType": "Parameters", "parameter": [inner]}
        given = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": resource}]}
        found = issues(client.post("/$validate", json=given).json())
        assert ("error", "required", "Parameters.parameter[0].part[0].part[0].resource.name") in found
