"""Every case of tests/cases/search_*.yaml once more, through the database: look-ups are made, indexes are used."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from fhir_server import json
from fhir_server.access.principal import SYSTEM
from fhir_server.joins import Joins
from fhir_server.outcomes import FhirError
from fhir_server.search.compile import compile, count_filter
from fhir_server.search.query import Query
from fhir_server.search.types.date import period
from fhir_server.storage.clock import Clock
from fhir_server.storage.database import Database
from fhir_server.storage.repository import Repository
from tests.search.finder import BASE, envelope, query
from tests.search.test_cases import FILES, load

Json = dict[str, Any]
CASES = [(path.stem, *case) for path in FILES for case in load(path) if "finds" in case[2] or "error" in case[2]]


class Finder:
    """A database with the resources of one file at a time."""

    def __init__(self, mongo_uri: str, database: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._uri, self._name, self._file = mongo_uri, database, ""
        self._loop.run_until_complete(self._open())

    async def _open(self) -> None:
        self.database = Database(self._uri, self._name)
        await self.database.prepare()
        self.repository = Repository(self.database, Clock(), query_seconds=10, max_pending=100)

    def close(self) -> None:
        self._loop.run_until_complete(self.database.close())
        self._loop.close()

    def check(self, file: str, content: Json, case: Json) -> None:
        self._loop.run_until_complete(self._check(file, content, case))

    async def _fill(self, file: str, content: Json) -> None:
        if file == self._file:
            return
        await self.database.resource.delete_many({})
        base = content.get("base", BASE)
        resources = [{**resource, "id": name} for name, resource in content["resources"].items()]
        documents = [envelope(resource, base=base, stamp=n) for n, resource in enumerate(resources)]
        texts = [{**document, "j": _text(resource)} for document, resource in zip(documents, resources, strict=True)]
        await self.database.resource.insert_many(texts)
        self._file = file

    async def _check(self, file: str, content: Json, case: Json) -> None:
        await self._fill(file, content)
        base = content.get("base", BASE)
        options: Json = {"base_url": base, "lenient": case.get("lenient", False)}
        if "now" in case:
            options["now"] = period(case["now"])[0]
        if "compartment" in case:
            options["compartment"] = tuple(case["compartment"].split("/"))
        asked = await self._asked(case["search"], options)
        if isinstance(asked, FhirError):
            assert asked.status == 400
            assert "error" in case, asked
            assert case["error"] in str(asked)
            return
        assert "error" not in case, "was not refused"
        find = compile(asked)
        rows = await self.repository.find(SYSTEM, find.filter, sort=list(find.sort), limit=100)
        assert {row.id for row in rows} == set(case["finds"])
        assert await self.repository.count(SYSTEM, count_filter(asked)) == len(rows)
        places, _ = await self.repository.find_at(SYSTEM, find.filter, sort=list(find.sort), limit=100)
        assert [row.key for row in places] == [row.key for row in rows]

    async def _asked(self, search: str, options: Json) -> Query | FhirError:
        try:
            return await Joins(self.repository, SYSTEM, options["base_url"]).resolve(query(search, **options))
        except FhirError as refusal:
            return refusal


def _text(resource: Json) -> str:
    return json.encode(resource).decode()


@pytest.fixture(scope="module")
def finder(mongo_uri: str, database: str) -> Iterator[Finder]:
    opened = Finder(mongo_uri, database)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("file", "content", "case"), [(c[0], c[2], c[3]) for c in CASES], ids=[f"{c[1]}" for c in CASES]
)
def test_case(finder: Finder, file: str, content: Json, case: Json) -> None:
    finder.check(file, content, case)


@pytest.mark.parametrize(
    "wrong",
    [
        {"search": "Observation?subject.gender=male", "finds": []},
        {"search": "Patient?_has:Observation:subject:status=final", "finds": ["b"]},
        {"search": "Patient?gender:missing=true", "finds": ["a"]},
        {"search": "Observation?subject.gender=male", "error": "refused"},
    ],
)
def test_a_wrong_case_fails(finder: Finder, wrong: Json) -> None:
    content = {
        "resources": {
            "a": {"resourceType": "Patient", "gender": "male"},
            "b": {"resourceType": "Patient"},
            "o": {"resourceType": "Observation", "status": "final", "subject": {"reference": "Patient/a"}},
        }
    }
    with pytest.raises(AssertionError):
        finder.check("wrong", content, wrong)
