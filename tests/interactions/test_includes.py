"""https://hl7.org/fhir/R4/search.html#include over HTTP: what comes along, how far, and each once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

Json = dict[str, Any]
ROOMS = 20


def put(resource: Json) -> Json:
    url = f"{resource['resourceType']}/{resource['id']}"
    return {"resource": resource, "request": {"method": "PUT", "url": url}}


def reference(key: str) -> Json:
    return {"reference": key}


@pytest.fixture(scope="module")
def filled(server: str) -> Iterator[httpx.Client]:
    """A prescription and all that it leads to; rooms within rooms, twenty deep, and two that are within each other."""
    coding = {"coding": [{"code": "x"}]}
    resources: list[Json] = [
        {"resourceType": "Organization", "id": "top"},
        {"resourceType": "Organization", "id": "ward", "partOf": reference("Organization/top")},
        {"resourceType": "Practitioner", "id": "joe"},
        {"resourceType": "Patient", "id": "eve", "managingOrganization": reference("Organization/ward")},
        {"resourceType": "Patient", "id": "eva", "link": [{"other": reference("Patient/eve"), "type": "seealso"}]},
        {
            "resourceType": "MedicationRequest",
            "id": "rx",
            "status": "active",
            "intent": "order",
            "medicationCodeableConcept": coding,
            "subject": reference("Patient/eve"),
            "requester": reference("Practitioner/joe"),
        },
        {
            "resourceType": "MedicationDispense",
            "id": "given",
            "status": "completed",
            "medicationCodeableConcept": coding,
            "subject": reference("Patient/eve"),
            "authorizingPrescription": [reference("MedicationRequest/rx")],
        },
        {
            "resourceType": "Provenance",
            "id": "who",
            "recorded": "2020-01-01T00:00:00Z",
            "target": [reference("MedicationDispense/given")],
            "agent": [{"who": reference("Practitioner/joe")}],
        },
        {"resourceType": "Location", "id": "room0", "name": "room"},
        *(
            {"resourceType": "Location", "id": f"room{n}", "partOf": reference(f"Location/room{n - 1}")}
            for n in range(1, ROOMS)
        ),
        {"resourceType": "Location", "id": "here", "partOf": reference("Location/there")},
        {"resourceType": "Location", "id": "there", "partOf": reference("Location/here")},
    ]
    with httpx.Client(base_url=server, timeout=60, headers={"Content-Type": "application/fhir+json"}) as client:
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [put(one) for one in resources]}
        answer = client.post("", json=bundle)
        assert answer.status_code == 200, answer.text
        yield client


def search(client: httpx.Client, url: str) -> Json:
    answer = client.get(url)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def brought(bundle: Json) -> set[str]:
    listed = [
        f"{entry['resource']['resourceType']}/{entry['resource']['id']}"
        for entry in bundle.get("entry", [])
        if entry["search"]["mode"] == "include"
    ]
    assert len(listed) == len(set(listed)), "something came twice"
    return set(listed)


@pytest.mark.parametrize(
    ("url", "included"),
    [
        ("/MedicationRequest?_id=rx&_include=MedicationRequest:patient", {"Patient/eve"}),
        ("/MedicationRequest?_id=rx&_include=*", {"Patient/eve", "Practitioner/joe"}),
        ("/MedicationRequest?_id=rx&_include=MedicationRequest:*:Patient", {"Patient/eve"}),
        # Without :iterate an include starts from the matches only.
        ("/MedicationRequest?_id=rx&_include=MedicationRequest:patient&_include=Patient:organization", {"Patient/eve"}),
        (
            "/MedicationRequest?_id=rx&_include=MedicationRequest:patient&_include:iterate=Patient:organization",
            {"Patient/eve", "Organization/ward"},
        ),
        (
            "/MedicationRequest?_id=rx&_include=MedicationRequest:patient&_include:iterate=Patient:organization"
            "&_include:iterate=Organization:partof",
            {"Patient/eve", "Organization/ward", "Organization/top"},
        ),
        ("/Patient?_id=eve&_revinclude=MedicationRequest:patient", {"MedicationRequest/rx"}),
        ("/Patient?_id=eve&_revinclude=*", {"MedicationRequest/rx", "MedicationDispense/given", "Patient/eva"}),
        (
            "/MedicationRequest?_id=rx&_revinclude=MedicationDispense:prescription&_revinclude:iterate=Provenance:target",
            {"MedicationDispense/given", "Provenance/who"},
        ),
        (
            "/MedicationRequest?_id=rx&_revinclude=MedicationDispense:prescription"
            "&_include:iterate=MedicationDispense:patient&_include:iterate=Patient:organization",
            {"MedicationDispense/given", "Patient/eve", "Organization/ward"},
        ),
        ("/Location?_id=here&_include:iterate=Location:partof", {"Location/there"}),
        ("/Location?_id=here,there&_include:iterate=Location:partof", set()),
        (
            "/Location?_id=room3&_include:recurse=Location:partof",
            {"Location/room2", "Location/room1", "Location/room0"},
        ),
        ("/Patient?_id=nobody&_revinclude=*", set()),
    ],
)
def test_includes(filled: httpx.Client, url: str, included: set[str]) -> None:
    assert brought(search(filled, url)) == included


def test_iteration_ends_and_says_so(filled: httpx.Client) -> None:
    bundle = search(filled, f"/Location?_id=room{ROOMS - 1}&_include:iterate=Location:partof")
    assert len(brought(bundle)) == 16
    notes = [one["resource"] for one in bundle["entry"] if one["search"]["mode"] == "outcome"]
    assert notes[0]["issue"][0]["code"] == "incomplete"


@pytest.mark.parametrize(
    "url",
    [
        "/Patient?_include:iterate=*",
        "/Patient?_include:often=Patient:organization",
        "/Patient?_revinclude=Nothing:x",
        "/Patient?_include:iterate=Patient:nonsense",
        "/Patient?" + "&".join(["_include=Patient:organization"] * 51),
    ],
)
def test_refusals_name_the_parameter(filled: httpx.Client, url: str) -> None:
    answer = filled.get(url)
    assert answer.status_code == 400
    assert "include" in answer.json()["issue"][0]["diagnostics"]


def test_contained_resources_come_by_themselves(filled: httpx.Client, server: str) -> None:
    body: Json = {
        "resourceType": "MedicationRequest",
        "id": "holds",
        "status": "active",
        "intent": "order",
        "subject": reference("Patient/eve"),
        "contained": [
            {"resourceType": "Medication", "id": "m", "code": {"coding": [{"code": "unique-17"}]}},
            {"resourceType": "Medication", "id": "n", "code": {"coding": [{"code": "other"}]}},
        ],
        "medicationReference": reference("#m"),
    }
    assert filled.put("/MedicationRequest/holds", json=body).status_code in (200, 201)
    assert search(filled, "/Medication?code=unique-17")["total"] == 0
    container = search(filled, "/Medication?code=unique-17&_contained=true")
    assert [entry["resource"]["id"] for entry in container["entry"]] == ["holds"]
    contained = search(filled, "/Medication?code=unique-17&_contained=true&_containedType=contained")
    assert [entry["resource"]["id"] for entry in contained["entry"]] == ["m"]
    assert contained["entry"][0]["fullUrl"] == f"{server}/MedicationRequest/holds#m"


def test_a_plan_instead_of_an_answer(filled: httpx.Client) -> None:
    answer = search(filled, "/MedicationRequest?patient.organization.partof=top&_sort=-authoredon&__explain=true")
    plans = [part for part in answer["parameter"] if part["name"] == "plan"]
    queries = [next(p["valueString"] for p in plan["part"] if p["name"] == "query") for plan in plans]
    assert queries == ["lookup: Organization&partof=top", "lookup: Patient&organization.partof=top", "search"]
    for plan in plans:
        names = {part["name"] for part in plan["part"]}
        assert {"index", "stages", "keysExamined", "documentsExamined", "returned", "milliseconds"} <= names
    assert filled.get("/Patient?__explain=maybe").status_code == 400
    lenient = filled.get("/Patient?brithdate=1&__explain=true", headers={"Prefer": "handling=lenient"}).json()
    assert "brithdate" in next(p["valueString"] for p in lenient["parameter"] if p["name"] == "ignored")


def test_what_is_not_there_takes_no_room(filled: httpx.Client) -> None:
    """More references that dangle than a page may include, and behind them one that does not."""
    members = [{"entity": reference(f"Patient/nobody{number}")} for number in range(1200)]
    group: Json = {"resourceType": "Group", "id": "crowd", "type": "person", "actual": True}
    body = {**group, "member": [*members, {"entity": reference("Patient/eve")}]}
    assert filled.put("/Group/crowd", json=body).status_code in (200, 201)
    found = search(filled, "/Group?_id=crowd&_include=Group:member")
    assert [entry["resource"]["id"] for entry in found["entry"]] == ["crowd", "eve"]


def test_everything_that_refers_to_a_full_page(filled: httpx.Client) -> None:
    """Some hundred parameters refer to a patient: times a thousand long ids, that is more than one query can hold."""
    entries = [
        {"resource": {"resourceType": "Patient", "id": id_}, "request": {"method": "PUT", "url": f"Patient/{id_}"}}
        for id_ in (f"{number:04}-{'x' * 59}" for number in range(1000))
    ]
    loaded = filled.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert loaded.status_code == 200
    found = search(filled, "/Patient?_count=1000&_revinclude=*&_elements=id")
    assert sum(entry["search"]["mode"] == "match" for entry in found["entry"]) == 1000
