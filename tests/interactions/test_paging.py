"""Writing while paging: what was there throughout comes exactly once, whatever the order, in both directions."""

from __future__ import annotations

import random
from typing import Any

import httpx
import pytest

from fhir_server.storage import repository

Json = dict[str, Any]
PATIENTS = 40
ORDERS = ["", "-birthdate", "birthdate,family", "family", "-_lastUpdated", "_lastUpdated", "gender", "_id"]
FAMILIES = ["Ada", "Bell", "Curie", "Darwin"]


def patient(id_: str, group: str, chance: random.Random) -> Json:
    return {
        "resourceType": "Patient",
        "id": id_,
        "gender": chance.choice(["male", "female"]),
        "birthDate": f"19{chance.randrange(10, 99)}-01-01",
        "name": [{"family": chance.choice(FAMILIES)}],
        "identifier": [{"system": "http://group", "value": group}],
    }


def disturb(client: httpx.Client, group: str, chance: random.Random, alive: set[str], number: int) -> None:
    """Update, patch, delete and create, so that many change their places."""
    for id_ in chance.sample(sorted(alive), 6):
        assert client.put(f"/Patient/{id_}", json=patient(id_, group, chance)).status_code == 200
    patched = chance.choice(sorted(alive))
    change = [{"op": "replace", "path": "/birthDate", "value": f"20{chance.randrange(10, 24)}-01-01"}]
    headers = {"Content-Type": "application/json-patch+json"}
    assert client.patch(f"/Patient/{patched}", json=change, headers=headers).status_code == 200
    gone = chance.choice(sorted(alive))
    assert client.delete(f"/Patient/{gone}").status_code == 204
    alive.discard(gone)
    made = f"{group}-new{number}"
    assert client.put(f"/Patient/{made}", json=patient(made, group, chance)).status_code == 201


def link(bundle: Json, relation: str) -> str | None:
    return next((one["url"] for one in bundle["link"] if one["relation"] == relation), None)


def ids(bundle: Json) -> list[str]:
    return [one["resource"]["id"] for one in bundle.get("entry", []) if one["search"]["mode"] == "match"]


@pytest.mark.parametrize("order", ORDERS)
def test_each_once_while_others_write(client: httpx.Client, order: str) -> None:
    chance = random.Random(order)
    group = f"g{ORDERS.index(order)}"
    alive = {f"{group}-{number}" for number in range(PATIENTS)}
    for id_ in sorted(alive):
        assert client.put(f"/Patient/{id_}", json=patient(id_, group, chance)).status_code == 201
    sort = f"&_sort={order}" if order else ""
    bundle = client.get(f"/Patient?identifier=http://group|{group}&_count=7{sort}").json()
    pages, number = [ids(bundle)], 0
    while url := link(bundle, "next"):
        disturb(client, group, chance, alive, number)
        bundle = client.get(url).json()
        pages.append(ids(bundle))
        number += 1
        assert number < 50
    assert number >= PATIENTS // 7
    seen = [id_ for page in pages for id_ in page]
    assert len(seen) == len(set(seen)), "a resource came twice"
    assert alive <= set(seen), "a resource that was there throughout was skipped"
    way_back: list[str] = []
    while url := link(bundle, "previous"):
        disturb(client, group, chance, alive, number)
        bundle = client.get(url).json()
        way_back += ids(bundle)
        number += 1
        assert number < 100
    assert len(way_back) == len(set(way_back))
    assert alive & {id_ for page in pages[:-1] for id_ in page} <= set(way_back)


def test_the_content_of_a_later_page_is_todays(client: httpx.Client) -> None:
    """The place is that of the first page's moment, but nobody is shown what was corrected since."""
    for number in range(4):
        body = patient(f"today{number}", "today", random.Random(number))
        client.put(f"/Patient/today{number}", json={**body, "birthDate": f"200{number}-01-01"})
    first = client.get("/Patient?identifier=http://group|today&_sort=birthdate&_count=2").json()
    assert ids(first) == ["today0", "today1"]
    moved = {**patient("today3", "today", random.Random(3)), "birthDate": "1900-01-01"}
    client.put("/Patient/today3", json=moved)
    client.delete("/Patient/today2")
    second = client.get(link(first, "next") or "").json()
    assert ids(second) == ["today3"]
    assert second["entry"][0]["resource"]["birthDate"] == "1900-01-01"
    assert link(second, "next") is None


def test_a_cursor_is_signed_and_bound(client: httpx.Client) -> None:
    for number in range(4):
        client.put(f"/Patient/bound{number}", json=patient(f"bound{number}", "bound", random.Random(number)))
    url = link(client.get("/Patient?identifier=http://group|bound&_sort=family&_count=2").json(), "next") or ""
    for other in (url.replace("bound&", "other&"), url[:-2] + "AA", url.replace("_sort=family", "_sort=birthdate")):
        assert other != url
        refused = client.get(other)
        assert refused.status_code == 400
        assert "_cursor" in refused.text


def test_a_page_of_more_than_one_message(client: httpx.Client) -> None:
    """The database answers with at most 16 MB at once: a sorted page of large resources is whole all the same."""
    large = "x" * 2_000_000
    for number in range(10):
        body = {**patient(f"large{number}", "large", random.Random(number)), "birthDate": f"195{number}-01-01"}
        body["contact"] = [{"name": {"text": large[:1_000_000]}}, {"name": {"text": large[:1_000_000]}}]
        assert client.put(f"/Patient/large{number}", json=body).status_code == 201
    page = client.get("/Patient?identifier=http://group|large&_sort=birthdate&_count=20").json()
    assert ids(page) == [f"large{number}" for number in range(10)]


def test_what_fits_no_more_is_not_shown(client: httpx.Client) -> None:
    """On a later page of a sorted search the criteria are judged as things are today."""
    for number in range(4):
        body = patient(f"fit{number}", "fit", random.Random(number))
        client.put(f"/Patient/fit{number}", json={**body, "gender": "male", "birthDate": f"200{number}-01-01"})
    first = client.get("/Patient?identifier=http://group|fit&gender=male&_sort=birthdate&_count=2").json()
    amended = {**patient("fit2", "fit", random.Random(2)), "gender": "female", "birthDate": "2002-01-01"}
    client.put("/Patient/fit2", json=amended)
    assert ids(client.get(link(first, "next") or "").json()) == ["fit3"]


@pytest.mark.parametrize("order", ["", "&_sort=birthdate"])
def test_a_page_holds_no_more_than_memory_should(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    """Large resources make short pages, each with a next one, and none is left out."""
    monkeypatch.setattr(repository, "MAX_BYTES", 20_000)
    monkeypatch.setattr(repository, "_CHUNK", 4)
    wide = "x" * 4_000
    for number in range(18):
        body = {**patient(f"wide{number}", "wide", random.Random(number)), "birthDate": f"19{10 + number}-01-01"}
        client.put(f"/Patient/wide{number}", json={**body, "contact": [{"name": {"text": wide}}]})
    bundle = client.get(f"/Patient?identifier=http://group|wide&_count=100{order}").json()
    pages = [ids(bundle)]
    while url := link(bundle, "next"):
        bundle = client.get(url).json()
        pages.append(ids(bundle))
        assert len(pages) < 20
    assert len(pages) > 2 or order, "the first sorted page is one answer of the database, of at most 16 MB"
    seen = [id_ for page in pages for id_ in page]
    assert sorted(seen) == sorted(f"wide{number}" for number in range(18))
    assert len(seen) == len(set(seen))
