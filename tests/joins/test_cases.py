"""Every case of tests/cases/search_*.yaml once more, through the database: look-ups are made, indexes are used."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from fhir_server import json
from fhir_server.access.principal import SYSTEM
from fhir_server.config import Settings
from fhir_server.context import Context
from fhir_server.dispatch import dispatch
from fhir_server.interactions.pages import rows
from fhir_server.joins import Joins
from fhir_server.outcomes import FhirError
from fhir_server.search.compile import compile, count_filter
from fhir_server.search.cursor import Position
from fhir_server.search.keyset import position
from fhir_server.search.query import Query
from fhir_server.search.types.date import period
from fhir_server.storage.clock import Clock
from fhir_server.storage.database import Database
from fhir_server.storage.repository import Repository
from fhir_server.validation import Answers, Level, Validator
from tests.search.finder import BASE, envelope, query
from tests.search.test_cases import FILES, load

Json = dict[str, Any]
Result = TypeVar("Result")
FEW: Json = {
    "resources": {
        "a": {"resourceType": "Patient", "gender": "male"},
        "b": {"resourceType": "Patient"},
        "o": {"resourceType": "Observation", "status": "final", "subject": {"reference": "Patient/a"}},
    }
}
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
        self.repository = Repository(self.database, Clock(), query_seconds=60, max_pending=100)

    def close(self) -> None:
        self._loop.run_until_complete(self.database.close())
        self._loop.close()

    def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        return self._loop.run_until_complete(coroutine)

    def check(self, file: str, content: Json, case: Json) -> None:
        self.run(self._check(file, content, case))

    def fill(self, file: str, content: Json) -> None:
        self.run(self._fill(file, content))

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
        found = await self.repository.find(SYSTEM, find.filter, sort=list(find.sort), limit=100)
        assert {row.id for row in found} == set(case["finds"])
        assert await self.repository.count(SYSTEM, count_filter(asked)) == len(found)
        assert await self._judged(case["search"], options) == {row.key for row in found}
        places, _ = await self.repository.find_at(SYSTEM, find.filter, sort=list(find.sort), limit=100)
        assert [row.key for row in places] == [row.key for row in found]

    async def _judged(self, search: str, options: Json) -> set[str]:
        """The same page by page, as if every chain led to more than can be looked up."""
        settings, base = Settings(query_seconds=60), options["base_url"]
        validator = Validator(Answers(self.repository, base), Level.STRUCTURE, {})
        ctx = Context(SYSTEM, self.repository, validator, settings, base, dispatch=dispatch)
        joins = Joins(self.repository, SYSTEM, base, few=0)
        whole = replace(query(search, **options), count=1)
        asked = await joins.glance(whole)
        found: list[str] = []
        at: Position | None = None
        while True:
            page = (await rows(ctx, joins, whole, asked, at)).rows
            found += [row.key for row in page[:1]]
            if len(page) < 2:
                break
            at = position(compile(asked), page[:1], at=at)
        assert len(found) == len(set(found))
        return set(found)

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
    with pytest.raises(AssertionError):
        finder.check("few", FEW, wrong)


def test_what_is_many_is_judged_row_by_row(finder: Finder) -> None:
    """So that the comparison above is one of two ways and not of one with itself."""

    async def glance(few: int, search: str) -> Query:
        return await Joins(finder.repository, SYSTEM, BASE, few=few).glance(query(search))

    finder.fill("few", FEW)
    for search in ("Observation?patient.gender=male", "Patient?_has:Observation:patient:status=final"):
        assert finder.run(glance(0, search)).probes, search
        assert not finder.run(glance(100, search)).probes, search


def test_look_ups_have_a_deadline_together(finder: Finder) -> None:
    async def late() -> Query:
        joins = Joins(finder.repository, SYSTEM, BASE, deadline=0.0)
        return await joins.resolve(query("Observation?patient.gender=male"))

    with pytest.raises(FhirError) as refusal:
        finder.run(late())
    assert refusal.value.status == 503
