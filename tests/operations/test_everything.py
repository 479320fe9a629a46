"""$everything: complete, each resource once, whatever is written meanwhile; and what its parameters choose."""

from __future__ import annotations

import asyncio
import gzip
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from fhir_server import json
from fhir_server.config import Settings
from fhir_server.operations import everything
from fhir_server.storage.stored import Stored
from tests.conftest import serve

Json = dict[str, Any]
OBSERVATIONS = 40


def put(resource: Json) -> Json:
    return {"resource": resource, "request": {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"}}


def record(patient: str) -> list[Json]:
    """A patient with visits and observations, and the people, places and drugs that they refer to."""
    subject = {"reference": f"Patient/{patient}"}
    found: list[Json] = [
        {"resourceType": "Patient", "id": patient, "managingOrganization": {"reference": "Organization/home"}},
        {"resourceType": "Coverage", "id": f"{patient}-c", "status": "active", "beneficiary": subject,
         "payor": [{"reference": "Organization/payer"}]},
        {"resourceType": "MedicationRequest", "id": f"{patient}-m", "status": "active", "intent": "order",
         "subject": subject, "medicationReference": {"reference": "Medication/drug"}, "authoredOn": "2021-05-05"},
        {"resourceType": "DocumentReference", "id": f"{patient}-d", "status": "current", "subject": subject,
         "content": [{"attachment": {"url": "Binary/scan"}}]},
    ]  # fmt: skip
    for number in range(4):
        found.append(
            {"resourceType": "Encounter", "id": f"{patient}-e{number}", "status": "finished", "class": {"code": "AMB"},
             "subject": subject, "period": {"start": f"202{number}-01-01", "end": f"202{number}-01-02"},
             "participant": [{"individual": {"reference": f"PractitionerRole/r{number % 2}"}}],
             "location": [{"location": {"reference": "Location/ward"}}]}
        )  # fmt: skip
    for number in range(OBSERVATIONS):
        found.append(
            {"resourceType": "Observation", "id": f"{patient}-o{number}", "status": "final", "code": {"text": "x"},
             "subject": subject, "encounter": {"reference": f"Encounter/{patient}-e{number % 4}"},
             "performer": [{"reference": f"Practitioner/p{number % 3}"}, {"reference": "Practitioner/nowhere"}],
             "effectiveDateTime": f"202{number % 4}-01-01"}
        )  # fmt: skip
    return found


HOUSE: list[Json] = [
    *({"resourceType": "Organization", "id": name} for name in ("home", "payer", "maker", "unrelated")),
    {"resourceType": "Location", "id": "ward", "managingOrganization": {"reference": "Organization/home"}},
    {"resourceType": "Medication", "id": "drug", "manufacturer": {"reference": "Organization/maker"}},
    {"resourceType": "Binary", "id": "scan", "contentType": "application/pdf", "data": "JVBERg=="},
    *({"resourceType": "Practitioner", "id": f"p{number}"} for number in range(5)),
    *({"resourceType": "PractitionerRole", "id": f"r{n}", "practitioner": {"reference": f"Practitioner/p{n + 2}"}}
      for n in range(2)),
]  # fmt: skip
BROUGHT = {
    *("Organization/home", "Organization/payer", "Organization/maker", "Location/ward", "Medication/drug"),
    *("Binary/scan", "PractitionerRole/r0", "PractitionerRole/r1"),
    *(f"Practitioner/p{number}" for number in range(4)),
}


def key(resource: Json) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


@pytest.fixture(scope="module")
def filled(server: str) -> Iterator[httpx.Client]:
    # The unorganized identifier of an Organization without a name is no matter here.
    house = [{**one, "name": "N"} if one["resourceType"] == "Organization" else one for one in HOUSE]
    entries = [put(one) for one in [*house, *record("a"), *record("b")]]
    with httpx.Client(base_url=server, timeout=60, headers={"Content-Type": "application/fhir+json"}) as client:
        answer = client.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
        assert answer.status_code == 200, answer.text
        yield client


def pages(client: httpx.Client, url: str) -> Iterator[Json]:
    while url:
        answer = client.get(url)
        assert answer.status_code == 200, answer.text
        bundle: Json = answer.json()
        yield bundle
        url = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), "")


def keys(bundles: list[Json], mode: str) -> Counter[str]:
    found = [entry for bundle in bundles for entry in bundle.get("entry", [])]
    return Counter(key(entry["resource"]) for entry in found if entry["search"]["mode"] == mode)


def once(names: set[str]) -> Counter[str]:
    return Counter(dict.fromkeys(names, 1))


@pytest.mark.parametrize("count", [None, 1, 2, 7, 1000])
def test_all_of_it_once(filled: httpx.Client, count: int | None) -> None:
    url = "/Patient/a/$everything" + (f"?_count={count}" if count else "")
    found = list(pages(filled, url))
    assert keys(found, "match") == once({key(one) for one in record("a")})
    assert keys(found, "include") == once(BROUGHT)
    assert key(found[0]["entry"][0]["resource"]) == "Patient/a"
    assert all(len(keys([page], "match")) <= (count or 1000) for page in found)
    assert found[0].get("total") == (None if len(found) > 1 else len(record("a")))


def test_by_post(filled: httpx.Client) -> None:
    body = {"resourceType": "Parameters", "parameter": [
        {"name": "_count", "valueInteger": 20},
        {"name": "_type", "valueCode": "Observation"},
        {"name": "start", "valueDate": "2022"},
    ]}  # fmt: skip
    first = filled.post("/Patient/a/$everything", json=body).json()
    following = next(link["url"] for link in first["link"] if link["relation"] == "next")
    assert set(parse_qs(urlsplit(following).query)) == {"_count", "_type", "start", "_cursor"}
    # The page of the patient itself is short by one: it is not of the type.
    found = [first, *pages(filled, following)]
    assert keys(found, "match") == once({f"Observation/a-o{n}" for n in range(OBSERVATIONS) if n % 4 >= 2})


def test_dates_of_care(filled: httpx.Client) -> None:
    found = keys(list(pages(filled, "/Patient/a/$everything?start=2021-01-02&end=2022-06&_count=9")), "match")
    undated = {"Patient/a", "Coverage/a-c", "DocumentReference/a-d"}
    visits = {"Encounter/a-e1", "Encounter/a-e2", "MedicationRequest/a-m"}
    assert found == once(undated | visits | {f"Observation/a-o{n}" for n in range(OBSERVATIONS) if n % 4 == 2})


def test_types(filled: httpx.Client) -> None:
    found = list(pages(filled, "/Patient/a/$everything?_type=Encounter,Coverage&_type=Patient"))
    wanted = {"Patient/a", "Coverage/a-c", *(f"Encounter/a-e{n}" for n in range(4))}
    assert keys(found, "match") + keys(found, "include") == once(wanted)
    found = list(pages(filled, "/Patient/a/$everything?_type=Practitioner&_count=10"))
    assert keys(found, "match") + keys(found, "include") == once({f"Practitioner/p{n}" for n in range(4)})


def test_since(filled: httpx.Client) -> None:
    observation = {**record("b")[-1], "status": "amended"}
    written = filled.put(f"/{key(observation)}", json=observation).json()["meta"]["lastUpdated"]
    found = list(pages(filled, f"/Patient/b/$everything?_since={written}"))
    assert keys(found, "match") == once({key(observation)})
    assert keys(found, "include") >= once({"Practitioner/p0"})


def test_an_encounter(filled: httpx.Client) -> None:
    found = list(pages(filled, "/Encounter/a-e1/$everything?_count=3"))
    wanted = {"Encounter/a-e1", *(f"Observation/a-o{n}" for n in range(OBSERVATIONS) if n % 4 == 1)}
    assert keys(found, "match") == once(wanted)
    brought = {"Patient/a", "PractitionerRole/r1", "Location/ward", "Organization/home"}
    assert keys(found, "include") == once(brought | {f"Practitioner/p{n}" for n in range(4)})
    assert filled.get("/Encounter/a-e1/$everything?start=2020").status_code == 400


@pytest.mark.parametrize(
    ("url", "status", "said"),
    [
        ("/Patient/nobody/$everything", 404, ""),
        ("/Patient/$everything", 404, "level"),
        ("/Observation/a-o1/$everything", 404, "type"),
        ("/Patient/a/$everything?_type=Nothing", 400, "_type"),
        ("/Patient/a/$everything?_count=0", 400, "_count"),
        ("/Patient/a/$everything?_count=x", 400, "_count"),
        ("/Patient/a/$everything?start=soon", 400, "start"),
        ("/Patient/a/$everything?start=2020&start=2021", 400, "start"),
        ("/Patient/a/$everything?_sort=date", 400, "_sort"),
        ("/Patient/a/$everything?_cursor=x", 400, "_cursor"),
    ],
)
def test_refusals(filled: httpx.Client, url: str, status: int, said: str) -> None:
    answer = filled.get(url)
    assert answer.status_code == status
    assert said in answer.json()["issue"][0]["diagnostics"]


def test_a_cursor_belongs_to_its_call(filled: httpx.Client) -> None:
    first = filled.get("/Patient/a/$everything?_count=5").json()
    query = parse_qs(urlsplit(next(one["url"] for one in first["link"] if one["relation"] == "next")).query)
    cursor = query["_cursor"][0]
    for url in ("/Patient/b/$everything", "/Patient/a/$everything?_type=Encounter", "/Patient/a/$everything?end=2021"):
        answer = filled.get(url, params={**dict(httpx.URL(url).params), "_cursor": cursor})
        assert answer.status_code == 400


def test_a_deleted_patient(filled: httpx.Client) -> None:
    filled.put("/Patient/leaving", json={"resourceType": "Patient", "id": "leaving"})
    filled.delete("/Patient/leaving")
    assert filled.get("/Patient/leaving/$everything").status_code == 410


async def test_complete_and_without_repeats_while_others_write(filled: httpx.Client, server: str) -> None:
    """What was there at the start and is not deleted comes exactly once; what is new may come, at most once."""
    there = {key(one) for one in record("a")}
    resources = {key(one): one for one in record("a")}
    fresh: set[str] = set()
    reading = True

    async def write(client: httpx.AsyncClient, lane: int) -> None:
        number = 0
        while reading or number < 5:
            number += 1
            new = {**resources["Observation/a-o0"], "id": f"new-{lane}-{number}"}
            fresh.add(key(new))
            assert (await client.put(f"/{key(new)}", json=new)).is_success
            old = resources[f"Observation/a-o{(number * 4 + lane) % OBSERVATIONS}"]
            assert (await client.put(f"/{key(old)}", json={**old, "valueInteger": number})).is_success
            if number % 3 == 0:
                assert (await client.delete(f"/{key(new)}")).is_success

    async with httpx.AsyncClient(base_url=server, timeout=60) as client:
        writers = [asyncio.create_task(write(client, lane)) for lane in range(4)]
        try:
            for count in (1, 3, 8):
                found: list[Json] = []
                url = f"/Patient/a/$everything?_count={count}"
                while url:
                    found.append((await client.get(url)).json())
                    url = next((link["url"] for link in found[-1]["link"] if link["relation"] == "next"), "")
                matches = keys(found, "match")
                assert set(matches.values()) == {1}
                assert there <= matches.keys() <= there | fresh
                assert keys(found, "include") == once(BROUGHT)
        finally:
            reading = False
            await asyncio.gather(*writers)


def test_a_forgetful_cursor_repeats_but_never_omits(filled: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(everything, "REMEMBERED", 2)
    found = list(pages(filled, "/Patient/b/$everything?_count=3"))
    assert keys(found, "match") == once({key(one) for one in record("b")})
    assert keys(found, "include").keys() == BROUGHT


def test_a_full_cursor_fits_a_url(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = everything._Memory()
    memory.add(Stored("Practitioner", str(number), 1, 0) for number in range(everything.REMEMBERED + 10))
    text = memory.text()
    assert len(text) < 3000
    again = everything._Memory(text)
    assert f"Practitioner/{everything.REMEMBERED + 9}" in again
    assert "Practitioner/9" not in again
    assert "Practitioner/10" in again


def test_too_much_to_bring_is_said(settings: Settings) -> None:
    few = settings.model_copy(update={"max_include": 2})
    with serve(few) as base, httpx.Client(base_url=base, timeout=60) as client:
        house = [{**one, "name": "N"} if one["resourceType"] == "Organization" else one for one in HOUSE]
        entries = [put(one) for one in [*house, *record("c")]]
        client.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
        bundle = client.get("/Patient/c/$everything").json()
    assert len(keys([bundle], "include")) == 2
    outcome = bundle["entry"][-1]
    assert outcome["search"]["mode"] == "outcome"
    assert outcome["resource"]["issue"][0]["code"] == "incomplete"


def test_a_synthea_patient_comes_back_whole(client: httpx.Client, shared: Path) -> None:
    """Every resource of the patient's bundle, and no more than those and who and where they refer to."""
    folder = shared / "synthea"
    for path in [*sorted(folder.glob("hospital*")), *sorted(folder.glob("practitioner*"))]:
        assert client.post("/", content=gzip.decompress(path.read_bytes())).is_success
    answer = client.post("/", content=gzip.decompress(next(folder.glob("Lupe_Little*")).read_bytes()))
    locations = [entry["response"]["location"] for entry in answer.json()["entry"]]
    stored = {location.partition("/fhir/")[2].partition("/_history")[0] for location in locations}
    patient = next(one for one in stored if one.startswith("Patient/"))
    found = list(pages(client, f"/{patient}/$everything?_count=50"))
    matches, brought = keys(found, "match"), keys(found, "include")
    assert set((matches + brought).values()) == {1}
    assert stored <= matches.keys() | brought.keys()
    beside = {one.partition("/")[0] for one in (matches.keys() | brought.keys()) - stored}
    assert beside <= {"Practitioner", "PractitionerRole", "Organization", "Location"}
    text = json.encode([page["entry"] for page in found]).decode()
    assert text.count('"resourceType":"Patient"') == 1
