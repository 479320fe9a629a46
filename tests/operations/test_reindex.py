"""Custom SearchParameters over a real server: refused while they are indexed, complete afterwards, always truthful."""

from __future__ import annotations

import json
import tarfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from pymongo import MongoClient

from fhir_server.config import Settings
from fhir_server.search.registry import LAYOUT
from tests.conftest import serve

Json = dict[str, Any]
EYES = "http://example.org/fhir/StructureDefinition/eye-colour"
WARD = "http://example.org/fhir/StructureDefinition/ward"


def parameter(code: str, base: str | list[str], kind: str, expression: str | None, **more: Any) -> Json:
    return {
        "resourceType": "SearchParameter",
        "id": code,
        "url": f"http://example.org/fhir/SearchParameter/{code}",
        "name": code.replace("-", "_"),
        "status": "active",
        "description": code,
        "code": code,
        "base": [base] if isinstance(base, str) else base,
        "type": kind,
        **({"expression": expression} if expression is not None else {}),
        **more,
    }


def patient(id_: str, colour: str = "", **more: Any) -> Json:
    extension = [{"url": EYES, "valueCode": colour}] if colour else []
    return {"resourceType": "Patient", "id": id_, **({"extension": extension} if extension else {}), **more}


def put(client: httpx.Client, resource: Json, **headers: str) -> httpx.Response:
    path = f"/{resource['resourceType']}/{resource['id']}"
    answer = client.put(path, content=json.dumps(resource), headers=headers)
    assert answer.status_code in (200, 201), answer.text
    return answer


def ids(client: httpx.Client, search: str) -> list[str]:
    answer = client.get(f"/{search}")
    assert answer.status_code == 200, answer.text
    return [entry["resource"]["id"] for entry in answer.json().get("entry", [])]


def status(client: httpx.Client) -> Json:
    """The report of $reindex: single values by name, `parameter` as (type, code) → state."""
    answer = client.get("/$reindex")
    assert answer.status_code == 200, answer.text
    found: Json = {"parameter": {}}
    for one in answer.json()["parameter"]:
        if one["name"] == "parameter":
            parts = {part["name"]: next(v for k, v in part.items() if k != "name") for part in one["part"]}
            found["parameter"][parts["type"], parts["code"]] = parts["state"]
        elif one["name"] not in ("current", "due"):
            found[one["name"]] = next(v for k, v in one.items() if k != "name")
    return found


def settled(client: httpx.Client) -> Json:
    """The report once nothing is to be done any more."""
    while (report := status(client))["state"] != "idle":
        pass
    return report


def statement(client: httpx.Client, name: str) -> Json:
    resources = client.get("/metadata").json()["rest"][0]["resource"]
    return next(dict(one) for one in resources if one["type"] == name)


def test_a_parameter_finds_old_and_new_resources(client: httpx.Client) -> None:
    put(client, patient("old", "green"))
    put(client, patient("plain"))
    assert client.get("/Patient?eye-colour=green").status_code == 400, "nobody knows it yet"
    answer = put(client, parameter("eye-colour", "Patient", "token", f"Patient.extension('{EYES}').value"))
    assert answer.status_code == 201
    put(client, patient("new", "green"))
    refused = client.get("/Patient?eye-colour=green")
    if refused.status_code == 400:  # or it was that quick
        issue = refused.json()["issue"][0]
        assert issue["code"] == "incomplete"
        assert "'eye-colour' of Patient is being indexed" in issue["diagnostics"]
    assert settled(client)["parameter"]["Patient", "eye-colour"] == "complete"
    assert sorted(ids(client, "Patient?eye-colour=green")) == ["new", "old"]
    assert ids(client, "Patient?eye-colour=blue") == []
    assert ids(client, "Patient?eye-colour:missing=true") == ["plain"]
    assert sorted(ids(client, "Patient?eye-colour:missing=false")) == ["new", "old"]
    shown = {one["name"]: one for one in statement(client, "Patient")["searchParam"]}
    assert shown["eye-colour"]["definition"] == "http://example.org/fhir/SearchParameter/eye-colour"


def test_chains_includes_and_sorting_by_custom_parameters(client: httpx.Client) -> None:
    put(client, parameter("eye-colour", "Patient", "token", f"Patient.extension('{EYES}').value"))
    put(client, parameter("ward", "Patient", "reference", f"Patient.extension('{WARD}').value", target=["Location"]))
    put(client, parameter("deceased-on", "Patient", "date", "Patient.deceased.ofType(dateTime)"))
    put(client, {"resourceType": "Location", "id": "ward-7", "name": "Seven"})
    ward = [{"url": WARD, "valueReference": {"reference": "Location/ward-7"}}]
    put(client, patient("c1", "hazel", deceasedDateTime="2021-03-01"))
    put(client, patient("c2", deceasedDateTime="2020-02-01") | {"extension": ward})
    observation = {"resourceType": "Observation", "id": "o1", "status": "final", "code": {"text": "x"}}
    put(client, {**observation, "subject": {"reference": "Patient/c1"}})
    settled(client)
    assert ids(client, "Observation?patient.eye-colour=hazel") == ["o1"]
    assert ids(client, "Patient?ward=Location/ward-7&_include=Patient:ward") == ["c2", "ward-7"]
    assert ids(client, "Patient?ward.name=seven") == ["c2"]
    assert ids(client, "Location?_has:Patient:ward:deceased-on=2020") == ["ward-7"]
    assert ids(client, "Location?_id=ward-7&_revinclude=Patient:ward") == ["ward-7", "c2"]
    assert ids(client, "Patient?deceased-on=gt2000&_sort=deceased-on") == ["c2", "c1"]
    assert ids(client, "Patient?deceased-on=gt2000&_sort=-deceased-on") == ["c1", "c2"]


def test_what_is_retired_is_no_longer_searched_by(client: httpx.Client) -> None:
    hair = parameter("hair", "Patient", "string", "Patient.extension('http://example.org/hair').value")
    put(client, hair)
    put(client, patient("h1") | {"extension": [{"url": "http://example.org/hair", "valueString": "Red"}]})
    settled(client)
    assert ids(client, "Patient?hair=red") == ["h1"]
    put(client, {**hair, "status": "retired"})
    assert client.get("/Patient?hair=red").status_code == 400
    assert all(one["name"] != "hair" for one in statement(client, "Patient")["searchParam"])
    settled(client)
    put(client, hair)
    settled(client)
    assert ids(client, "Patient?hair=red") == ["h1"]
    assert client.delete(f"/SearchParameter?url={hair['url']}").status_code == 204
    assert client.get("/Patient?hair=red").status_code == 400
    assert ("Patient", "hair") not in settled(client)["parameter"]


def test_another_meaning_is_indexed_anew(client: httpx.Client) -> None:
    nickname = parameter("nick", "Patient", "string", "Patient.name.where(use='nickname').given")
    put(client, patient("n1", name=[{"use": "nickname", "given": ["Bo"]}, {"use": "old", "given": ["Al"]}]))
    put(client, nickname)
    settled(client)
    assert ids(client, "Patient?nick=bo") == ["n1"]
    put(client, {**nickname, "expression": "Patient.name.where(use='old').given"})
    settled(client)
    assert (ids(client, "Patient?nick=bo"), ids(client, "Patient?nick=al")) == ([], ["n1"])
    before = status(client)["started"]
    put(client, {**nickname, "expression": "Patient.name.where( use = 'old' ).given", "description": "the same"})
    assert ids(client, "Patient?nick=al") == ["n1"], "what means the same needs no reindex"
    assert status(client)["started"] == before


@pytest.mark.parametrize(
    ("resource", "place", "rule"),
    [
        (parameter("bad", "Patient", "token", None), "SearchParameter.expression", "needs an expression"),
        (parameter("bad", "Patient", "token", "Patient.name.iif(a, b)"), "SearchParameter.expression", "cannot be"),
        (parameter("bad", "Patient", "token", "Patient.nothing"), "SearchParameter.expression", "cannot be compiled"),
        (parameter("bad", "Patient", "date", "Patient.name"), "SearchParameter.expression", "names nothing"),
        (parameter("bad", "Patient", "token", "Practitioner.name"), "SearchParameter.expression", "names nothing"),
        (parameter("bad", "Patient", "token", "(" * 3000), "SearchParameter.expression", "cannot be compiled"),
        (parameter("bad", "Patient", "special", "Patient.name"), "SearchParameter.type", "not computable"),
        ({**parameter("bad", "Patient", "token", "Patient.gender"), "code": "a.b"}, "SearchParameter.code", "letter"),
        ({**parameter("bad", "Patient", "token", "Patient.gender"), "code": "_sort"}, "SearchParameter.code", "letter"),
        (
            parameter(
                "bad", "Patient", "composite", "Patient", component=[{"definition": "http://x", "expression": "a"}] * 2
            ),
            "SearchParameter.component[0].definition",
            "active search parameter",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_cannot_be_searched_by_is_refused(client: httpx.Client, resource: Json, place: str, rule: str) -> None:
    answer = client.post("/SearchParameter", content=json.dumps(resource))
    assert answer.status_code == 422, answer.text
    issue = answer.json()["issue"][0]
    assert issue["expression"] == [place]
    assert rule in issue["diagnostics"]
    draft = client.post("/SearchParameter", content=json.dumps({**resource, "status": "draft"}))
    assert draft.status_code == 201, "a draft has no effect"


def test_restrictions_are_kept(client: httpx.Client) -> None:
    limits: Json = {"multipleOr": False, "multipleAnd": False, "comparator": ["ge", "le"], "modifier": ["missing"]}
    put(client, parameter("died", "Patient", "date", "Patient.deceased.ofType(dateTime)", **limits))
    settled(client)
    assert client.get("/Patient?died=ge2020").status_code == 200
    assert client.get("/Patient?died=2020").status_code == 200
    assert client.get("/Patient?died:missing=true").status_code == 200
    for search in ("died=2020,2021", "died=ge2020&died=le2021", "died=gt2020", "died:not=2020"):
        assert client.get(f"/Patient?{search}").status_code == 400, search


def test_r4_keeps_a_code_that_is_declared_with_another_meaning(client: httpx.Client) -> None:
    mine = parameter("gender", "Patient", "token", "Patient.name.use")
    answer = put(client, mine, Prefer="return=OperationOutcome")
    issue = answer.json()["issue"][0]
    assert (issue["severity"], issue["code"]) == ("warning", "conflict")
    same = {**parameter("family", "Patient", "string", "Patient.name.family"), "id": "same-family"}
    assert put(client, same, Prefer="return=OperationOutcome").json()["issue"][0]["severity"] == "information"
    found = settled(client)["parameter"]
    assert (found["Patient", "gender"], found["Patient", "family"]) == ("conflict", "same")
    put(client, patient("g1", gender="other", name=[{"use": "maiden", "family": "Abegg"}]))
    assert ids(client, "Patient?gender=other") == ["g1"]
    assert ids(client, "Patient?gender=maiden") == []
    shown = {one["name"]: one["definition"] for one in statement(client, "Patient")["searchParam"]}
    assert shown["family"] == same["url"], "one that means the same takes its place"
    assert "hl7.org" in shown["gender"]


def test_of_two_resources_the_first_keeps_the_code(client: httpx.Client) -> None:
    first = parameter("twice", "Patient", "token", "Patient.active")
    put(client, {**first, "id": "twice-1"})
    second = {**first, "id": "twice-2", "url": first["url"] + "-2", "expression": "Patient.gender"}
    assert put(client, second, Prefer="return=OperationOutcome").json()["issue"][0]["code"] == "conflict"
    put(client, patient("t1", active=True, gender="male"))
    settled(client)
    assert ids(client, "Patient?twice=true") == ["t1"]
    client.delete("/SearchParameter/twice-1")
    settled(client)
    assert ids(client, "Patient?twice=male") == ["t1"], "then it is the other one's"


def test_composites_of_custom_parameters(client: httpx.Client) -> None:
    put(client, parameter("part-code", "Observation", "token", "Observation.component.code"))
    put(client, parameter("part-text", "Observation", "string", "Observation.component.value.ofType(string)"))
    pair = [
        {"definition": "http://example.org/fhir/SearchParameter/part-code", "expression": "code"},
        {"definition": "http://example.org/fhir/SearchParameter/part-text", "expression": "value.ofType(string)"},
    ]
    parts = [{"code": {"coding": [{"code": c}]}, "valueString": t} for c, t in (("a", "one"), ("b", "two"))]
    put(
        client,
        {"resourceType": "Observation", "id": "k1", "status": "final", "code": {"text": "x"}, "component": parts},
    )
    put(client, parameter("part", "Observation", "composite", "Observation.component", component=pair))
    assert settled(client)["parameter"]["Observation", "part"] == "complete"
    assert ids(client, "Observation?part=a$one") == ["k1"]
    assert ids(client, "Observation?part=a$two") == []
    client.delete("/SearchParameter/part-text")
    report = settled(client)["parameter"]
    assert report["Observation", "part"] == "unusable"
    assert client.get("/Observation?part=a$one").status_code == 400


def test_a_transaction_declares_and_a_parameter_of_every_type(client: httpx.Client) -> None:
    note = "http://example.org/note"
    every = parameter("note", "Resource", "string", f"Resource.meta.extension('{note}').value")
    entries = [
        {"resource": every, "request": {"method": "PUT", "url": "SearchParameter/note"}},
        {
            "resource": {
                "resourceType": "Basic",
                "id": "noted",
                "code": {"text": "x"},
                "meta": {"extension": [{"url": note, "valueString": "Look"}]},
            },
            "request": {"method": "PUT", "url": "Basic/noted"},
        },
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    assert client.post("/", content=json.dumps(bundle)).status_code == 200
    report = settled(client)["parameter"]
    assert {state for (_, code), state in report.items() if code == "note"} == {"complete"}
    assert ids(client, "Basic?note=look") == ["noted"]
    assert ids(client, "?note=look&_type=Basic,Patient") == ["noted"]
    assert client.delete("/SearchParameter/note").status_code == 204


def test_the_operation_starts_a_reindex(client: httpx.Client) -> None:
    put(client, patient("again"))
    assert client.post("/$reindex?type=Nothing").status_code == 400
    answer = client.post("/$reindex?type=Patient&type=Location")
    assert answer.status_code == 202, answer.text
    report = settled(client)
    assert report["done"] == report["total"] > 0
    assert report["failed"] == 0
    assert report["ended"] >= report["started"]


def test_searches_wait_for_keys_of_another_layout(settings: Settings, database: str) -> None:
    """A process of the other layout is still there, so nothing can be rebuilt; then it is gone."""
    settings = settings.model_copy(update={"database": f"{database}_layout"})
    with serve(settings) as base, httpx.Client(base_url=base, timeout=60) as client:
        put(client, patient("p", gender="male"))
    with MongoClient[Json](settings.mongodb_uri) as mongo:
        mongo[f"{settings.database}_fhir"]["resource"].update_many({}, {"$set": {"k": ["of another layout"]}})
        system = mongo[f"{settings.database}_system"]
        system["state"].update_one({"_id": "parameters"}, {"$set": {"layout": LAYOUT - 1}})
        older = {"_id": "fhir-server/elsewhere/1/x", "generation": 10**9, "layout": LAYOUT - 1}
        system["processes"].insert_one({**older, "seen": datetime(2999, 1, 1, tzinfo=UTC)})
        with serve(settings) as base, httpx.Client(base_url=base, timeout=60) as client:
            ready = client.get(base.replace("/fhir", "/health/ready"))
            assert ready.status_code == 503
            assert ready.json()["search"].startswith("The search index is being rebuilt: 146 resource types are left")
            assert client.get("/Patient?gender=male").status_code == 503
            assert client.get("/Patient/p").status_code == 200
            assert client.get("/metadata").status_code == 200
            put(client, patient("q", gender="male"))
            system["processes"].delete_one({"_id": older["_id"]})
            settled(client)
            while client.get(base.replace("/fhir", "/health/ready")).status_code != 200:
                pass
            assert sorted(ids(client, "Patient?gender=male")) == ["p", "q"]


def test_every_search_parameter_of_us_core(client: httpx.Client, shared: Path) -> None:
    """99 say what R4 says and 7 are new; none is refused, none conflicts."""
    entries = []
    with tarfile.open(shared / "packages" / "hl7.fhir.us.core-6.1.0.tgz") as package:
        for member in package:
            content = package.extractfile(member)
            if "package/SearchParameter-" in member.name and content is not None:
                resource = json.load(content)
                request = {"method": "PUT", "url": f"SearchParameter/{resource['id']}"}
                entries.append({"resource": resource, "request": request})
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    answer = client.post("/", content=json.dumps(bundle))
    assert answer.status_code == 200, answer.text
    codes = {(base, one["resource"]["code"]) for one in entries for base in one["resource"]["base"]}
    found = {pair: state for pair, state in settled(client)["parameter"].items() if pair in codes}
    found.pop(("Patient", "gender"), None)  # declared with another meaning by another test
    assert Counter(found.values()) == {"same": 98, "complete": 7}
    race = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race"
    coding = {"system": "urn:oid:2.16.840.1.113883.6.238", "code": "2028-9"}
    inner = [{"url": "ombCategory", "valueCoding": coding}]
    put(client, patient("us1") | {"extension": [{"url": race, "extension": inner}]})
    assert ids(client, "Patient?race=2028-9") == ["us1"]
    assert statement(client, "Patient")["searchParam"]
