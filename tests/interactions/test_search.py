"""Searching over HTTP: the Bundle, its pages, totals, includes and refusals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

Json = dict[str, Any]

PATIENTS = 7


@pytest.fixture(scope="module")
def filled(server: str) -> Iterator[httpx.Client]:
    """Seven patients, an observation of each, and what they refer to."""
    entries: list[Json] = [put({"resourceType": "Organization", "id": "org", "name": "Clinic"})]
    for number in range(PATIENTS):
        patient: Json = {
            "resourceType": "Patient",
            "id": f"p{number}",
            "gender": "male" if number % 2 else "female",
            "birthDate": f"19{number}0-01-01",
            "name": [{"family": f"Family{number}"}],
            "managingOrganization": {"reference": "Organization/org"},
            "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">p</div>'},
        }
        observation = {
            "resourceType": "Observation",
            "id": f"o{number}",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "1-1"}]},
            "subject": {"reference": f"Patient/p{number}"},
            "effectiveDateTime": f"202{number}-01-01",
        }
        entries += [put(patient), put(observation)]
    with httpx.Client(base_url=server, timeout=60, headers={"Content-Type": "application/fhir+json"}) as client:
        answer = client.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
        assert answer.status_code == 200, answer.text
        yield client


def put(resource: Json) -> Json:
    url = f"{resource['resourceType']}/{resource['id']}"
    return {"resource": resource, "request": {"method": "PUT", "url": url}}


def search(client: httpx.Client, url: str, status: int = 200, **options: Any) -> Json:
    answer = client.get(url, **options)
    assert answer.status_code == status, answer.text
    found: Json = answer.json()
    return found


def links(bundle: Json) -> dict[str, str]:
    return {link["relation"]: link["url"] for link in bundle["link"]}


def ids(bundle: Json, mode: str = "match") -> list[str]:
    entries = [entry for entry in bundle.get("entry", []) if entry["search"]["mode"] == mode]
    return [f"{e['resource']['resourceType']}/{e['resource']['id']}" for e in entries]


def test_the_bundle(filled: httpx.Client, server: str) -> None:
    bundle = search(filled, "/Patient?family=family3")
    assert (bundle["resourceType"], bundle["type"], bundle["total"]) == ("Bundle", "searchset", 1)
    entry = bundle["entry"][0]
    assert entry["fullUrl"] == f"{server}/Patient/p3"
    assert entry["search"] == {"mode": "match"}
    assert entry["resource"] == filled.get("/Patient/p3").json()
    assert links(bundle)["self"] == f"{server}/Patient?family=family3"


def test_nothing_found(filled: httpx.Client) -> None:
    bundle = search(filled, "/Patient?family=nobody")
    assert bundle["total"] == 0
    assert "entry" not in bundle


@pytest.mark.parametrize("order", ["", "&_sort=birthdate", "&_sort=-family", "&_sort=gender,-birthdate"])
def test_pages(filled: httpx.Client, order: str) -> None:
    """By next links to the end and by previous links back: the same pages."""
    bundle = search(filled, f"/Patient?_count=3{order}")
    assert "previous" not in links(bundle)
    assert "total" not in bundle
    pages = [bundle]
    while "next" in links(pages[-1]):
        pages.append(search(filled, links(pages[-1])["next"]))
    assert [len(ids(one)) for one in pages] == [3, 3, 1]
    every = [key for one in pages for key in ids(one)]
    assert sorted(every) == [f"Patient/p{number}" for number in range(PATIENTS)]
    back = search(filled, links(pages[-1])["previous"])
    assert ids(back) == ids(pages[1])
    first = search(filled, links(back)["previous"])
    assert ids(first) == ids(pages[0])
    assert "previous" not in links(first)
    assert ids(search(filled, links(first)["next"])) == ids(pages[1])
    assert ids(search(filled, links(back)["first"])) == ids(pages[0])
    assert parse_qs(urlsplit(links(pages[0])["next"]).query)["_count"] == ["3"]


def test_sorted(filled: httpx.Client) -> None:
    assert ids(search(filled, "/Patient?_sort=-birthdate&_count=2")) == ["Patient/p6", "Patient/p5"]
    assert ids(search(filled, "/Observation?_sort=date&_count=2")) == ["Observation/o0", "Observation/o1"]


def test_a_foreign_or_changed_cursor(filled: httpx.Client) -> None:
    following = links(search(filled, "/Patient?_count=3"))["next"]
    cursor = parse_qs(urlsplit(following).query)["_cursor"][0]
    for url in (
        f"/Patient?_count=3&gender=male&_cursor={cursor}",
        f"/Observation?_count=3&_cursor={cursor}",
        f"/Patient?_count=3&_sort=family&_cursor={cursor}",
        f"/Patient?_count=3&_cursor={cursor[:-4]}AAAA",
        "/Patient?_cursor=x",
    ):
        assert "_cursor" in search(filled, url, 400)["issue"][0]["diagnostics"]


def test_totals(filled: httpx.Client) -> None:
    assert search(filled, "/Patient?_count=2&_total=accurate")["total"] == PATIENTS
    assert search(filled, "/Patient?_count=2&_total=estimate")["total"] == PATIENTS
    assert "total" not in search(filled, "/Patient?_count=2&_total=none")
    for url in ("/Patient?_summary=count&gender=male", "/Patient?_count=0&gender=male"):
        bundle = search(filled, url)
        assert bundle["total"] == 3
        assert "entry" not in bundle
        assert set(links(bundle)) == {"self"}


def test_summary_and_elements(filled: httpx.Client) -> None:
    short = search(filled, "/Patient?_id=p1&_elements=gender")["entry"][0]["resource"]
    assert set(short) == {"resourceType", "id", "meta", "gender"}
    assert short["meta"]["tag"][0]["code"] == "SUBSETTED"
    assert "text" not in search(filled, "/Patient?_id=p1&_summary=data")["entry"][0]["resource"]
    assert "text" in search(filled, "/Patient?_id=p1&_summary=text")["entry"][0]["resource"]
    assert "_elements" in search(filled, "/Patient?_elements=nonsense", 400)["issue"][0]["diagnostics"]


def test_includes(filled: httpx.Client) -> None:
    bundle = search(filled, "/Observation?_id=o1,o2&_include=Observation:patient")
    assert sorted(ids(bundle)) == ["Observation/o1", "Observation/o2"]
    assert sorted(ids(bundle, "include")) == ["Patient/p1", "Patient/p2"]
    assert bundle["total"] == 2
    bundle = search(filled, "/Patient?_id=p1&_revinclude=Observation:subject&_include=Patient:organization")
    assert sorted(ids(bundle, "include")) == ["Observation/o1", "Organization/org"]
    everything = search(filled, "/Patient?_include=*")
    assert ids(everything, "include") == ["Organization/org"]


def test_by_post(filled: httpx.Client) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = filled.post("/Patient/_search?gender=male", content="birthdate=lt1940&_count=1", headers=headers)
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    assert ids(bundle) in (["Patient/p1"], ["Patient/p3"])
    rest = search(filled, links(bundle)["next"])
    assert sorted(ids(bundle) + ids(rest)) == ["Patient/p1", "Patient/p3"]


def test_compartments(filled: httpx.Client, server: str) -> None:
    bundle = search(filled, "/Patient/p1/Observation?code=1-1")
    assert ids(bundle) == ["Observation/o1"]
    assert links(bundle)["self"] == f"{server}/Patient/p1/Observation?code=1-1"
    assert sorted(ids(search(filled, "/Patient/p1/*"))) == ["Observation/o1", "Patient/p1"]
    pages = [search(filled, "/Patient/p1/*?_count=1")]
    pages.append(search(filled, links(pages[0])["next"]))
    assert sorted(ids(pages[0]) + ids(pages[1])) == ["Observation/o1", "Patient/p1"]


def test_all_types(filled: httpx.Client) -> None:
    assert search(filled, "/?_summary=count")["total"] == 2 * PATIENTS + 1
    assert sorted(ids(search(filled, "/?_id=p1,o1,org"))) == ["Observation/o1", "Organization/org", "Patient/p1"]
    assert search(filled, "/?_type=Patient,Organization&_summary=count")["total"] == PATIENTS + 1


def test_strict_and_lenient(filled: httpx.Client) -> None:
    refused = search(filled, "/Patient?brithdate=1910&gender=male", 400)
    assert "Near it are: birthdate" in refused["issue"][0]["diagnostics"]
    bundle = search(filled, "/Patient?brithdate=1910&gender=male", headers={"Prefer": "handling=lenient"})
    outcome = next(entry for entry in bundle["entry"] if entry["search"]["mode"] == "outcome")["resource"]
    assert "brithdate" in outcome["issue"][0]["diagnostics"]
    assert outcome["issue"][0]["severity"] == "warning"
    assert "brithdate" not in links(bundle)["self"]
    assert bundle["total"] == 3


@pytest.mark.parametrize("count", ["_summary=count", "_count=0"])
def test_a_lenient_count_says_what_it_did_not_count_by(filled: httpx.Client, count: str) -> None:
    url = f"/Patient?brithdate=1910&gender=male&{count}"
    bundle = search(filled, url, headers={"Prefer": "handling=lenient"})
    assert bundle["total"] == 3
    assert "brithdate" in bundle["entry"][0]["resource"]["issue"][0]["diagnostics"]
    assert "entry" not in search(filled, f"/Patient?gender=male&{count}", headers={"Prefer": "handling=lenient"})


def test_lenient_elements_leave_links_that_work(filled: httpx.Client) -> None:
    url = "/Patient?_elements=gender,colour&_count=2"
    assert "colour" in search(filled, url, 400)["issue"][0]["diagnostics"]
    bundle = search(filled, url, headers={"Prefer": "handling=lenient"})
    outcome = next(entry for entry in bundle["entry"] if entry["search"]["mode"] == "outcome")["resource"]
    assert "colour" in outcome["issue"][0]["diagnostics"]
    assert set(bundle["entry"][0]["resource"]) == {"resourceType", "id", "meta", "gender"}
    following = search(filled, links(bundle)["next"])
    assert set(following["entry"][0]["resource"]) == {"resourceType", "id", "meta", "gender"}


def test_self_says_how_many_really(filled: httpx.Client) -> None:
    assert links(search(filled, "/Patient?_count=99999"))["self"].endswith("?_count=1000")


def test_contained_resources_alone(filled: httpx.Client) -> None:
    """Each is an entry in the form that was asked for, and so is the container if it fits by itself."""

    def measured(id_: str, code: str) -> Json:
        inner = {"resourceType": "Observation", "id": "in", "status": "final", "code": {"coding": [{"code": "inner"}]}}
        outer = {**inner, "id": id_, "code": {"coding": [{"code": code}]}, "hasMember": [{"reference": "#in"}]}
        return {**outer, "contained": [inner]}

    for resource in (measured("both-fit", "inner"), measured("one-fits", "outer")):
        assert filled.put(f"/Observation/{resource['id']}", json=resource).is_success
    found = search(filled, "/Observation?code=inner&_contained=both&_containedType=contained&_elements=code")
    urls = [entry["fullUrl"].rpartition("/")[2] for entry in found["entry"]]
    assert sorted(urls) == ["both-fit", "both-fit#in", "one-fits#in"]
    for entry in found["entry"]:
        assert "hasMember" not in entry["resource"]
        assert entry["resource"]["meta"]["tag"][0]["code"] == "SUBSETTED"
    for id_ in ("both-fit", "one-fits"):
        assert filled.delete(f"/Observation/{id_}").is_success


def test_a_write_is_found_at_once_and_a_deletion_is_gone(filled: httpx.Client) -> None:
    for number in range(20):
        patient = {"resourceType": "Patient", "id": "fleeting", "name": [{"family": f"Fleeting{number}"}]}
        assert filled.put("/Patient/fleeting", json=patient).is_success
        assert ids(search(filled, f"/Patient?family=fleeting{number}")) == ["Patient/fleeting"]
        assert ids(search(filled, f"/Patient?family=fleeting{number - 1}&_id=fleeting")) == []
    filled.delete("/Patient/fleeting")
    for url in ("/Patient?family=fleeting", "/Patient?_id=fleeting", "/Patient?_id=fleeting&_total=accurate"):
        assert search(filled, url)["total"] == 0
    for url in ("/Patient?_lastUpdated=gt2000", "/Patient?_sort=family", "/Patient?_sort=_id", "/?_sort=-_lastUpdated"):
        assert "Patient/fleeting" not in ids(search(filled, url))
