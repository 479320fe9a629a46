"""Pages by cursor: every match once and in order, forward and back, whatever the order asked for."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.collection import Collection

from fhir_server.search.compile import Find, compile
from fhir_server.search.keyset import page, position
from fhir_server.storage.stored import Stored, from_document
from tests.search.finder import envelope, query

Json = dict[str, Any]
COUNT = 3
SEARCHES = [
    "Patient?",
    "Patient?gender=male",
    "Patient?gender=male,female",
    "Patient?_sort=family",
    "Patient?_sort=-family",
    "Patient?_sort=birthdate",
    "Patient?_sort=-birthdate",
    "Patient?_sort=gender",
    "Patient?_sort=-gender",
    "Patient?_sort=gender,-birthdate",
    "Patient?_sort=-gender,family",
    "Patient?_sort=-death-date,gender,-family",
    "Patient?_sort=_id",
    "Patient?_sort=-_id",
    "Patient?_sort=_lastUpdated",
    "Patient?_sort=-_lastUpdated",
    "Patient?_sort=-_lastUpdated,gender",
    "Patient?_lastUpdated=ge2020",
    "?",
    "?_sort=-_lastUpdated",
    "?_type=Patient,Person&_sort=_id",
]


@pytest.fixture(scope="module")
def collection(mongo_uri: str, database: str) -> Iterator[Collection[Json]]:
    """Resources with many equal and missing values, and creation stamps that fill more than a page."""
    chance = random.Random(1)
    documents = []
    for number in range(40):
        patient: Json = {"resourceType": "Patient" if number % 5 else "Person", "id": f"p{number}"}
        patient["meta"] = {"lastUpdated": f"2020-01-0{chance.randrange(1, 4)}T00:00:00Z"}
        if gender := chance.choice(["male", "female", None]):
            patient["gender"] = gender
        if family := chance.choice(["A", "B", "b", None]):
            patient["name"] = [{"family": family}]
        if birth := chance.choice(["2000", "2001", "2002-03", None]):
            patient["birthDate"] = birth
        if patient["resourceType"] == "Patient" and chance.random() < 0.4:
            patient["deceasedDateTime"] = "2020"
        documents.append(envelope(patient, stamp=1000 + number // 7))
    with MongoClient[Json](mongo_uri) as client:
        found = client[f"{database}_paging"]["resource"]
        found.insert_many(documents)
        yield found


def rows(collection: Collection[Json], find: Find, limit: int = 0) -> list[Stored]:
    return [from_document(d) for d in collection.find(find.filter, {"r": 0}).sort(list(find.sort)).limit(limit)]


def keys(stored: list[Stored]) -> list[str]:
    return [one.key for one in stored]


def walk(collection: Collection[Json], find: Find) -> list[list[Stored]]:
    """All pages, from the first to the last."""
    pages = [rows(collection, find, COUNT)]
    at = position(find, pages[0])
    while following := rows(collection, page(find, at), COUNT):
        pages.append(following)
        at = position(find, following, at=at)
        assert len(pages) < 100
    return pages


@pytest.mark.parametrize("search", SEARCHES)
def test_every_match_once(collection: Collection[Json], search: str) -> None:
    find = compile(query(search))
    everything = rows(collection, find)
    assert len(everything) > COUNT
    pages = walk(collection, find)
    assert sorted(key for one in pages for key in keys(one)) == sorted(keys(everything))
    assert [sortable(find, row) for one in pages for row in one] == [sortable(find, row) for row in everything]


@pytest.mark.parametrize("search", SEARCHES)
def test_the_way_back(collection: Collection[Json], search: str) -> None:
    find = compile(query(search))
    pages = walk(collection, find)
    at = position(find, pages[-1], forward=False)
    back: list[str] = []
    while before := rows(collection, page(find, at), COUNT):
        back = keys(before[::-1]) + back
        at = position(find, before[::-1], forward=False, at=at)
        assert len(back) < 100
    assert sorted(back) == sorted(key for one in pages[:-1] for key in keys(one))


def test_what_is_created_meanwhile_moves_nothing(collection: Collection[Json]) -> None:
    find = compile(query("Patient?"))
    first = rows(collection, find, COUNT)
    second = keys(rows(collection, page(find, position(find, first)), COUNT))
    newcomer = envelope({"resourceType": "Patient", "id": "newcomer"}, stamp=9999)
    collection.insert_one(newcomer)
    try:
        assert keys(rows(collection, page(find, position(find, first)), COUNT)) == second
    finally:
        collection.delete_one({"_id": newcomer["_id"]})


def sortable(find: Find, row: Stored) -> list[Any]:
    """The values of the row that the order speaks of, without the last, which only makes it unique."""
    values = {"t": row.created, "u": row.updated, "_id": row.key}
    names = [name for name, _ in find.sort]
    return [values.get(name, (row.sort or {}).get(name.removeprefix("s."))) for name in names[: max(1, len(names) - 1)]]
