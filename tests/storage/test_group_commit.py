"""Writers that come together share a transaction; each learns its own fate; nothing is lost or half there."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import AsyncIterator

import pytest
from pymongo.errors import OperationFailure

from fhir_server.access.principal import SYSTEM
from fhir_server.storage.clock import Clock
from fhir_server.storage.database import Database
from fhir_server.storage.history import Span
from fhir_server.storage.repository import Repository
from fhir_server.storage.unit_of_work import Guard, Lost, UnitOfWork, Write


@pytest.fixture
async def database(mongo_uri: str, database: str) -> AsyncIterator[Database]:
    opened = Database(mongo_uri, database)
    await opened.prepare()
    yield opened
    await opened.close()


@pytest.fixture
def repository(database: Database) -> Repository:
    return Repository(database, Clock(), query_seconds=60, max_pending=10_000)


def write(id_: str, text: str = "x", **more: object) -> Write:
    made = Write("PUT", "Basic", id_, {"resourceType": "Basic", "id": id_, "text": text}, **more)  # type: ignore[arg-type]
    made.index = {"k": ["b"]}
    made.prepare()
    return made


def unit(*writes: Write, guard: Guard | None = None) -> UnitOfWork:
    made = UnitOfWork()
    for one in writes:
        made.add(one, guard)
    return made


async def test_many_writers_share_transactions_and_all_succeed(repository: Repository, database: Database) -> None:
    await asyncio.gather(*(repository.commit(unit(write(f"many{n}"))) for n in range(200)))
    found = await repository.read_many(SYSTEM, [f"Basic/many{n}" for n in range(200)])
    assert len(found) == 200
    nonces = await database.version.distinct("n", {"r": {"$regex": "^Basic/many"}})
    assert len(nonces) < 100, "each write had a transaction of its own"


async def test_parallel_updates_of_one_resource_leave_an_unbroken_history(repository: Repository) -> None:
    await asyncio.gather(*(repository.commit(unit(write("hot", str(n)))) for n in range(100)))
    versions = await repository.history.versions(SYSTEM, Span("Basic", "hot", limit=200))
    assert sorted(v.version for v in versions) == list(range(1, 101))
    stamps = [v.updated for v in versions]
    assert stamps == sorted(set(stamps), reverse=True), "lastUpdated grows with the version"


async def test_two_processes_contending_lose_nothing(mongo_uri: str, database: Database) -> None:
    other_database = Database(mongo_uri, database.prefix)
    try:
        pair = [Repository(d, Clock(), query_seconds=60, max_pending=10_000) for d in (database, other_database)]
        await asyncio.gather(*(pair[n % 2].commit(unit(write(f"c{n % 5}", str(n)))) for n in range(100)))
        for n in range(5):
            versions = await pair[0].history.versions(SYSTEM, Span("Basic", f"c{n}", limit=200))
            assert sorted(v.version for v in versions) == list(range(1, 21))
    finally:
        await other_database.close()


async def test_exact_writes_make_one_winner(repository: Repository) -> None:
    await repository.commit(unit(write("exact")))
    base = await repository.read(SYSTEM, "Basic", "exact")
    tries = [repository.commit(unit(write("exact", str(n), base=base, exact=True))) for n in range(20)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(result is None for result in results) == 1
    assert sum(isinstance(result, Lost) for result in results) == 19


async def test_a_guard_lets_one_through(mongo_uri: str, database: Database) -> None:
    other_database = Database(mongo_uri, database.prefix)
    try:
        pair = [Repository(d, Clock(), query_seconds=60, max_pending=10_000) for d in (database, other_database)]
        tries = [pair[n % 2].commit(unit(write(f"g{n}"), guard=Guard("same", 0))) for n in range(16)]
        results = await asyncio.gather(*tries, return_exceptions=True)
        assert sum(result is None for result in results) == 1
        assert await pair[0].guard("same") == 1
    finally:
        await other_database.close()


async def test_a_unit_is_all_or_nothing(repository: Repository) -> None:
    await repository.commit(unit(write("half-1")))
    stale = write("half-1", base=None, exact=True)
    with pytest.raises(Lost):
        await repository.commit(unit(write("half-2"), stale))
    assert await repository.read(SYSTEM, "Basic", "half-2") is None


async def test_a_deletion_keeps_counting(repository: Repository) -> None:
    await repository.commit(unit(write("gone")))
    base = await repository.read(SYSTEM, "Basic", "gone")
    await repository.commit(unit(Write("DELETE", "Basic", "gone", None, base)))
    stored = await repository.read(SYSTEM, "Basic", "gone")
    assert stored is not None
    assert stored.deleted
    back = write("gone", base=stored)
    await repository.commit(unit(back))
    assert (back.version, back.created) == (3, True)


async def test_reads_at_the_same_time_share_a_query(repository: Repository) -> None:
    await repository.commit(unit(*(write(f"r{n}") for n in range(50))))
    asked: list[int] = []
    original = repository._by_ids

    async def counting(keys: list[str]) -> list[dict[str, object]]:
        asked.append(len(keys))
        return await original(keys)

    repository._reader._query = counting
    found = await asyncio.gather(*(repository.read(SYSTEM, "Basic", f"r{n % 60}") for n in range(120)))
    assert sum(stored is None for stored in found) == 20
    assert len(asked) <= 3


async def test_history_waits_for_what_another_process_has_not_committed(mongo_uri: str, database: Database) -> None:
    """A poller that goes on from the last stamp it saw must not miss what commits later with an earlier one."""
    other = Database(mongo_uri, database.prefix)
    mine = Repository(database, Clock(), query_seconds=60, max_pending=100)
    try:
        async with other.client.start_session() as session:
            await session.start_transaction()
            await other.guards.insert_one({"_id": "open"}, session=session)
            await mine.commit(unit(write("later")))
            assert await mine.history.versions(SYSTEM, Span("Basic", limit=5, since=await stamp(mine, "later"))) == []
            await session.abort_transaction()
        shown = await mine.history.versions(SYSTEM, Span("Basic", limit=5, since=await stamp(mine, "later")))
        assert [version.id for version in shown] == ["later"]
    finally:
        await other.close()


async def stamp(repository: Repository, id_: str) -> int:
    stored = await repository.read(SYSTEM, "Basic", id_)
    assert stored is not None
    return stored.updated


async def test_transactions_of_a_dead_process_are_ended(mongo_uri: str, database: Database) -> None:
    dead = Database(mongo_uri, database.prefix, incarnation=f"fhir-server/{socket.gethostname()}/{_no_such_pid()}/00")
    try:
        async with dead.client.start_session() as session:
            await session.start_transaction()
            await dead.guards.insert_one({"_id": "left open"}, session=session)
            assert await database.abandon_dead_transactions() == 1
            assert await database.open_transactions() == []
            with pytest.raises(OperationFailure):
                await session.commit_transaction()
    finally:
        await dead.close()


def _no_such_pid() -> int:
    done = subprocess.Popen(["true"])
    done.wait()
    return done.pid
