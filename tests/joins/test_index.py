"""Every search parameter of every type is served by an index: keys examined are in proportion to what is returned.

Each type has resources with the value asked for and many more with others. What MongoDB calls an index scan is not
looked at: a walk over all of a type is one, too. docs/decisions/0004-search-keys.md lists the shapes that walk.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Iterator
from typing import Any

import pytest

from fhir_server.access.principal import SYSTEM
from fhir_server.definitions import RESOURCE_TYPES
from fhir_server.joins import Joins
from fhir_server.search.compile import compile
from fhir_server.search.fields import Field
from fhir_server.search.keys import END
from fhir_server.storage.clock import Clock
from fhir_server.storage.database import Database
from fhir_server.storage.repository import Repository
from tests.search.finder import BASE, envelope, query
from tests.search.samples import every, resource, searches

Json = dict[str, Any]
HITS, OTHERS = 3, 24
# keys examined <= EACH * returned + BASE_KEYS: a page is asked for, its hits may lie under several keys, and the
# planner tries more than one way at once
EACH, BASE_KEYS = 12, 30
BY_TYPE: dict[str, list[Any]] = {}
for _field, _leaf in every():
    BY_TYPE.setdefault(_field.parameter.resource_type, []).append((_field, _leaf))


def other(value: Any, number: int) -> Any:
    """The same shape with another value in each place."""
    if isinstance(value, dict):
        return {name: inner if name == "resourceType" else other(inner, number) for name, inner in value.items()}
    if isinstance(value, list):
        return [other(inner, number) for inner in value]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1000 + number
    if isinstance(value, str):
        return _other_text(value, number)
    return value


def _other_text(text: str, number: int) -> str:
    if text.startswith("2020-02-03"):
        return f"19{10 + number}-02-03{text[10:]}"
    if text.startswith("http://u/"):
        return f"http://other/{number}"
    if text.startswith("http"):
        return text
    if text == "u":
        return "u"
    if "/" in text:
        return f"{text.partition('/')[0]}/other{number}"
    return f"Z{number} {text}"


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


@pytest.fixture(scope="module")
def opened(mongo_uri: str, database: str, loop: asyncio.AbstractEventLoop) -> Iterator[Database]:
    found = Database(mongo_uri, database)
    loop.run_until_complete(found.prepare())
    yield found
    loop.run_until_complete(found.close())


def documents(resource_type: str) -> Iterator[Json]:
    stamp = 0
    for field, leaf in BY_TYPE[resource_type]:
        made = resource(field, leaf)
        for number in range(HITS + OTHERS):
            one = copy.deepcopy(made) if number < HITS else _keep_where(field, leaf, other(made, number))
            stamp += 1
            yield envelope({**one, "resourceType": resource_type, "id": f"r{stamp}"}, stamp=stamp)


def _keep_where(field: Field, leaf: Any, made: Json) -> Json:
    """What the path chooses by stays as it was."""
    inner: Any = made
    for hop in leaf.path:
        inner = inner[hop.name][0] if hop.many else inner[hop.name]
        if hop.where is not None:
            inner[hop.where[0]] = hop.where[1]
    return made


async def examined(repository: Repository, search: str) -> tuple[int, int]:
    """Keys examined and resources returned, for a page of 20."""
    asked = await Joins(repository, SYSTEM, BASE).resolve(query(search))
    find = compile(asked)
    plan = await repository.explain(SYSTEM, find.filter, sort=list(find.sort), limit=21)
    return plan["keysExamined"], plan["returned"]


async def judge(opened: Database, resource_type: str) -> list[str]:
    """The searches of this type that examine too much."""
    repository = Repository(opened, Clock(), query_seconds=60, max_pending=100)
    await opened.resource.delete_many({})
    await opened.resource.insert_many(list(documents(resource_type)))
    out: list[str] = []
    asked = {
        f"{resource_type}?{field.parameter.code}={value}"
        for field, leaf in BY_TYPE[resource_type]
        for value in searches(field, leaf)[0]
        if leaf.type not in ("boolean", "TrueUnlessFalse")
    }
    codes = {field.parameter.code: field.parameter.type for field, _ in BY_TYPE[resource_type]}
    for code, type_ in codes.items():
        asked |= {f"{resource_type}?{code}:missing=true", f"{resource_type}?{code}:missing=false"}
        if type_ == "token":
            asked.add(f"{resource_type}?{code}:not=a-1")
    for search in sorted(asked):
        keys, returned = await examined(repository, search)
        if keys > EACH * returned + BASE_KEYS:
            out.append(f"{search}: {keys} keys for {returned}")
    return out


@pytest.mark.parametrize("resource_type", sorted(BY_TYPE))
def test_every_parameter_is_served_by_an_index(
    opened: Database, loop: asyncio.AbstractEventLoop, resource_type: str
) -> None:
    assert loop.run_until_complete(judge(opened, resource_type)) == []


def test_every_type_is_there() -> None:
    assert BY_TYPE.keys() == set(RESOURCE_TYPES)


def test_a_walk_over_the_type_is_noticed(opened: Database, loop: asyncio.AbstractEventLoop) -> None:
    """The same judgement of a filter that no index serves."""

    async def walk() -> int:
        repository = Repository(opened, Clock(), query_seconds=60, max_pending=100)
        await opened.resource.delete_many({})
        await opened.resource.insert_many(list(documents("Patient")))
        filter: Json = {"$and": [{"k": "1pd"}, {"$nor": [{"k": {"$elemMatch": {"$gte": "1pd", "$lt": f"1pd{END}"}}}]}]}
        plan = await repository.explain(SYSTEM, filter, sort=[("t", -1)], limit=21)
        return int(plan["keysExamined"])

    assert loop.run_until_complete(walk()) > BASE_KEYS
