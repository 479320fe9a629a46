"""Every way of reading opens what is sealed: page after page, versions of a moment, what was indexed anew."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from pymongo import MongoClient

from fhir_server.config import Settings
from fhir_server.main import running
from fhir_server.search.keys import SEALED

Json = dict[str, Any]
LABEL = {"system": "http://fhir-server.example/ig/CodeSystem/record-label", "code": "sensitive"}


def observation(number: int) -> Json:
    """Every second one is sensitive."""
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        **({"meta": {"security": [LABEL]}} if number % 2 else {}),
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]},
        "subject": {"reference": f"Patient/{number % 3}"},
        "effectiveDateTime": f"2026-01-{number + 1:02}",
        "valueString": f"value {number}",
    }


@pytest.fixture(scope="module")
def stored(server: str) -> list[Json]:
    resources = [observation(number) for number in range(20)]
    with httpx.Client(base_url=server, timeout=60) as client:
        for one in resources:
            client.put(f"/Observation/{one['id']}", json=one).raise_for_status()
    return resources


def pages(client: httpx.Client, path: str) -> list[list[Json]]:
    found, link = [], path
    while link:
        bundle = client.get(link).raise_for_status().json()
        found.append([one["resource"] for one in bundle.get("entry", ())])
        link = next((one["url"] for one in bundle["link"] if one["relation"] == "next"), "")
    return found


@pytest.mark.parametrize("sort", ["", "&_sort=date", "&_sort=-date", "&_sort=_lastUpdated", "&_sort=-status,date"])
def test_no_page_misses_or_repeats_one(client: httpx.Client, stored: list[Json], sort: str) -> None:
    found = pages(client, f"/Observation?_count=3{sort}")
    assert all(len(one) == 3 for one in found[:-1])
    flat = [one for page in found for one in page]
    assert {one["id"]: one["valueString"] for one in flat} == {one["id"]: one["valueString"] for one in stored}
    assert len(flat) == len(stored)


def test_histories_open_each_version(client: httpx.Client, stored: list[Json]) -> None:
    client.put("/Observation/o1", json={**observation(1), "valueString": "again"}).raise_for_status()
    client.put("/Observation/o1", json=observation(1)).raise_for_status()
    assert [one["valueString"] for one in pages(client, "/Observation/o1/_history")[0]] == [
        "value 1",
        "again",
        "value 1",
    ]
    everything = [one for page in pages(client, "/Observation/_history?_count=7") for one in page]
    assert len(everything) == len(stored) + 2
    assert all(one["valueString"].startswith(("value", "again")) for one in everything)
    now = pages(client, "/Observation/_history?_at=2000&_count=7")
    assert now == [[]]
    bundle = client.get("/Observation?subject=Patient/1&_total=accurate&_summary=count").json()
    assert bundle["total"] == len([one for one in stored if one["subject"]["reference"] == "Patient/1"])


async def test_a_reindex_changes_nothing_of_it(client: httpx.Client, stored: list[Json], settings: Settings) -> None:
    async with running(settings) as server:
        assert await server.reindex(lambda done, total: None) == 0
    with MongoClient[Json](settings.mongodb_uri) as mongo:
        row = mongo[f"{settings.database}_fhir"]["resource"].find_one({"_id": "Observation/o3"})
        assert row is not None
        assert SEALED in row["k"]
        assert not {"j", "r", "f", "w", "c"} & set(row)


def test_a_stored_document_is_as_sensitive_as_what_it_holds(client: httpx.Client, settings: Settings) -> None:
    bundle = {"resourceType": "Bundle", "id": "b", "type": "collection", "entry": [{"resource": observation(1)}]}
    client.put("/Bundle/b", json=bundle).raise_for_status()
    assert client.get("/Bundle/b").json()["entry"][0]["resource"]["valueString"] == "value 1"
    with MongoClient[Json](settings.mongodb_uri) as mongo:
        row = mongo[f"{settings.database}_fhir"]["resource"].find_one({"_id": "Bundle/b"})
        assert row is not None
        assert row["ek"] == "Patient/1|1"


@pytest.mark.parametrize("depth", ["entry", "outcome", "parameter", "part", "bundle"])
def test_so_it_is_however_deep_that_is(client: httpx.Client, settings: Settings, depth: str) -> None:
    held = {**observation(1), "valueString": "deep secret"}
    parameter: Json = {"name": "x", "resource": held}
    if depth == "part":
        parameter = {"name": "y", "part": [{"name": "z", "part": [parameter]}]}
    inner: Json = {"resourceType": "Parameters", "parameter": [parameter]}
    if depth == "bundle":
        inner = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": inner}]}
    entry = {
        "entry": {"resource": held},
        "outcome": {"response": {"status": "200", "outcome": held}},
    }.get(depth, {"resource": inner})
    kind = "batch-response" if depth == "outcome" else "collection"
    bundle = {"resourceType": "Bundle", "id": f"d-{depth}", "type": kind, "entry": [entry]}
    client.put(f"/Bundle/d-{depth}", json=bundle).raise_for_status()
    assert "deep secret" in client.get(f"/Bundle/d-{depth}").text
    with MongoClient[Json](settings.mongodb_uri) as mongo:
        for name, key in (("resource", f"Bundle/d-{depth}"), ("version", f"Bundle/d-{depth}/1")):
            row = mongo[f"{settings.database}_fhir"][name].find_one({"_id": key})
            assert row is not None
            assert (row["ek"], "j" in row) == ("Patient/1|1", False)


def test_what_is_put_in_anothers_place_is_not_shown(client: httpx.Client, settings: Settings) -> None:
    """By whoever can write the database and has no key."""
    for name in ("mine", "theirs"):
        body = {**observation(1), "id": name, "valueString": name}
        client.put(f"/Observation/{name}", json=body).raise_for_status()
    with MongoClient[Json](settings.mongodb_uri) as mongo:
        rows = mongo[f"{settings.database}_fhir"]["resource"]
        theirs = rows.find_one({"_id": "Observation/theirs"})
        assert theirs is not None
        rows.update_one({"_id": "Observation/mine"}, {"$set": {"e": theirs["e"]}})
    answer = client.get("/Observation/mine")
    assert answer.status_code == 500
    assert "theirs" not in answer.text
    assert client.get("/Observation/theirs").json()["valueString"] == "theirs"
