"""Every acknowledged change of a definition moves the generation, whichever process made it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from fhir_server.access.principal import SYSTEM
from fhir_server.storage.clock import Clock
from fhir_server.storage.database import Database
from fhir_server.storage.generation import DEFINING
from fhir_server.storage.repository import Repository
from fhir_server.storage.unit_of_work import UnitOfWork, Write


@pytest.fixture
async def two(mongo_uri: str, database: str) -> AsyncIterator[tuple[Repository, Repository]]:
    """Two processes on one database."""
    opened = [Database(mongo_uri, database), Database(mongo_uri, database)]
    await opened[0].prepare()
    first, second = (Repository(one, Clock(), query_seconds=60, max_pending=1000) for one in opened)
    yield first, second
    for one in opened:
        await one.close()


async def put(repository: Repository, type_: str, id_: str) -> None:
    write = Write("PUT", type_, id_, {"resourceType": type_, "id": id_})
    write.index = {"k": ["x"]}
    write.prepare()
    unit = UnitOfWork()
    unit.add(write)
    await repository.commit(unit)


async def test_definitions_move_it_and_others_do_not(two: tuple[Repository, Repository]) -> None:
    writer, reader = two
    before = await reader.definitions_generation()
    await put(writer, "Basic", "a")
    assert await reader.definitions_generation() == before
    for count, type_ in enumerate(sorted(DEFINING), 1):
        await put(writer, type_, "a")
        assert await reader.definitions_generation() == before + count


async def test_erasing_a_definition_moves_it(two: tuple[Repository, Repository]) -> None:
    writer, reader = two
    await put(writer, "ValueSet", "gone")
    before = await reader.definitions_generation()
    await writer.erase(SYSTEM, "ValueSet", "gone")
    assert await reader.definitions_generation() == before + 1


async def test_parallel_writers_of_two_processes_lose_no_change(two: tuple[Repository, Repository]) -> None:
    before = await two[0].definitions_generation()
    await asyncio.gather(*(put(two[n % 2], "CodeSystem", f"many{n}") for n in range(40)))
    assert await two[0].definitions_generation() > before
