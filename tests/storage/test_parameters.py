"""Numbers and states of custom search parameters, and the promise that a process writes by what all of them know."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fhir_server.access.principal import SYSTEM
from fhir_server.outcomes import Unavailable
from fhir_server.search import custom, registry
from fhir_server.search.extract import extract
from fhir_server.search.registry import FIRST_CUSTOM, LAYOUT, number_text
from fhir_server.storage.clock import Clock
from fhir_server.storage.database import Database
from fhir_server.storage.declarations import PARAMETERS, REINDEX, Change, in_transaction, settle
from fhir_server.storage.processes import LEASE, Processes
from fhir_server.storage.reindex import Reindexer
from fhir_server.storage.repository import Repository
from fhir_server.storage.unit_of_work import UnitOfWork, Write

Json = dict[str, Any]


@pytest.fixture
async def database(mongo_uri: str, database: str) -> AsyncIterator[Database]:
    opened = Database(mongo_uri, database)
    for one in (opened.fhir, opened.system):
        await opened.client.drop_database(one)
    await opened.prepare()
    yield opened
    await opened.close()


@pytest.fixture
async def repository(database: Database) -> AsyncIterator[Repository]:
    started = Repository(database, Clock(), query_seconds=60, max_pending=100)
    await started.start()
    yield started
    await started.stop()


@pytest.fixture
async def another(mongo_uri: str, database: Database) -> AsyncIterator[Processes]:
    """A second process of the same database, as far as the others can tell."""
    opened = Database(mongo_uri, database.prefix)
    yield Processes(opened, LAYOUT)
    await opened.close()


def definition(code: str, expression: str, kind: str = "token", **more: Any) -> Json:
    head = {"resourceType": "SearchParameter", "id": code, "url": f"http://x/{code}", "code": code, "status": "active"}
    return {**head, "base": ["Patient"], "type": kind, "expression": expression, **more}


async def put(repository: Repository, resource: Json, *, deleted: bool = False) -> Write:
    """Store (or delete) a resource on top of what is there."""
    base = await repository.read(SYSTEM, resource["resourceType"], resource["id"])
    content = None if deleted else resource
    write = Write("PUT", resource["resourceType"], resource["id"], content, base)
    write.find_by("")
    write.prepare()
    unit = UnitOfWork()
    unit.add(write)
    await repository.commit(unit)
    return write


async def rows(database: Database) -> dict[int, Json]:
    return {row["_id"]: row async for row in database.system[PARAMETERS].find()}


async def states(database: Database) -> dict[tuple[str, int], str]:
    """(code, place in the order of numbers) → state."""
    return {(row["code"], row["_id"] - FIRST_CUSTOM): row["state"] for row in (await rows(database)).values()}


async def reindex(repository: Repository, database: Database) -> None:
    assert await Reindexer(database, repository.parameters, extract, share=1).work()


async def keys(database: Database, id_: str) -> list[str]:
    found = await database.resource.find_one({"_id": f"Patient/{id_}"})
    assert found is not None
    return list(found["k"])


async def test_a_number_for_each_meaning_of_a_code(database: Database, repository: Repository) -> None:
    await put(repository, definition("a", "Patient.name.use"))
    await put(repository, definition("b", "Patient.telecom.use"))
    assert await states(database) == {("a", 0): "indexing", ("b", 1): "indexing"}
    await reindex(repository, database)
    assert await states(database) == {("a", 0): "complete", ("b", 1): "complete"}
    await put(repository, definition("a", "Patient.name.use", description="in other words"))
    assert await states(database) == {("a", 0): "complete", ("b", 1): "complete"}
    await put(repository, definition("a", "Patient.contact.gender"))
    assert await states(database) == {("a", 0): "retired", ("b", 1): "complete", ("a", 2): "indexing"}
    await put(repository, definition("b", "", status="retired"))
    await reindex(repository, database)
    assert await states(database) == {("a", 0): "dropped", ("b", 1): "dropped", ("a", 2): "complete"}
    await put(repository, definition("a", "Patient.name.use"))
    assert await states(database) == {("a", 0): "indexing", ("b", 1): "dropped", ("a", 2): "retired"}


async def test_what_r4_indexes_already_is_complete_at_once(database: Database, repository: Repository) -> None:
    await put(repository, definition("sex", "Patient.gender"))
    assert await states(database) == {("sex", 0): "complete"}
    found = registry.find("Patient", "sex")
    assert found is not None
    assert found.complete


async def test_what_is_retired_is_written_until_everybody_knows(
    database: Database, repository: Repository, another: Processes
) -> None:
    await put(repository, definition("a", "Patient.name.use"))
    await reindex(repository, database)
    await another.join()
    await another.tell(repository.parameters.generation)
    await put(repository, definition("a", "Patient.name.use"), deleted=True)
    assert registry.find("Patient", "a") is None
    patient = {"resourceType": "Patient", "id": "p", "name": [{"use": "old"}]}
    await put(repository, patient)
    written = f"{number_text(FIRST_CUSTOM)}=old"
    assert written in await keys(database, "p"), "the other process may still search by it"
    await another.tell(repository.parameters.generation)
    await reindex(repository, database)
    await put(repository, patient)
    assert written not in await keys(database, "p")


async def test_numbers_outlast_a_restart(database: Database) -> None:
    for _ in range(2):
        repository = Repository(database, Clock(), query_seconds=60, max_pending=100)
        await repository.start()
        await put(repository, definition("a", "Patient.name.use"))
        await put(repository, definition("b", "Patient.telecom.use"))
        found = registry.find("Patient", "b")
        assert found is not None
        assert found.number == number_text(FIRST_CUSTOM + 1)
        await repository.stop()
        assert registry.find("Patient", "b") is None


async def test_declarations_lost_are_made_again_from_the_resources(database: Database) -> None:
    repository = Repository(database, Clock(), query_seconds=60, max_pending=100)
    await repository.start()
    await put(repository, definition("a", "Patient.name.use"))
    await repository.stop()
    await database.system["declarations"].delete_many({})
    await database.system["declarations"].insert_one(
        {"_id": "SearchParameter/gone", "code": "z", "t": 1, "definition": {"type": "token"}, "types": {}, "same": []}
    )
    await repository.start()
    assert [one["_id"] async for one in database.system["declarations"].find()] == ["SearchParameter/a"]
    generation = repository.parameters.generation
    await repository.stop()
    await repository.start()
    assert repository.parameters.generation == generation, "nothing differs, so nothing is done"
    await repository.stop()


async def test_a_write_prepared_before_is_found_by_what_came_since(database: Database, repository: Repository) -> None:
    early = Write("PUT", "Patient", "early", {"resourceType": "Patient", "id": "early", "name": [{"use": "old"}]})
    early.find_by("")
    early.prepare()
    await put(repository, definition("a", "Patient.name.use"))
    unit = UnitOfWork()
    unit.add(early)
    await repository.commit(unit)
    assert f"{number_text(FIRST_CUSTOM)}=old" in await keys(database, "early")


async def test_the_reindex_waits_for_every_process(
    database: Database, repository: Repository, another: Processes
) -> None:
    await another.join()
    await put(repository, definition("a", "Patient.name.use"))
    task = asyncio.create_task(Reindexer(database, repository.parameters, extract, share=1).work())
    until = None
    for _ in range(3):  # it renews its lease while it waits
        before, marker = until, {}
        while (until := marker.get("until")) in (None, before):
            marker = await repository.parameters.status()
    assert not task.done()
    assert await states(database) == {("a", 0): "indexing"}
    await another.tell(repository.parameters.generation)
    assert await task
    assert await states(database) == {("a", 0): "complete"}


async def test_a_write_that_an_unknowing_process_sends_late_is_found(
    mongo_uri: str, database: Database, repository: Repository
) -> None:
    """A process with the old parameters writes while the new one is declared; the reindex begins after it."""
    other = Database(mongo_uri, database.prefix)
    writer = Processes(other, LAYOUT)
    await writer.join()
    await writer.tell(repository.parameters.generation)
    late = Write("PUT", "Patient", "late", {"resourceType": "Patient", "id": "late", "name": [{"use": "old"}]})
    late.find_by("")
    late.prepare()
    late.seal(lambda previous: previous + 1000, lambda: 1)
    async with other.client.start_session() as session:
        await session.start_transaction()
        await other.resource.insert_one(late.envelope(), session=session)
        await put(repository, definition("a", "Patient.name.use"))
        work = asyncio.create_task(Reindexer(database, repository.parameters, extract, share=1).work())
        while "owner" not in await repository.parameters.status():
            pass
        await session.commit_transaction()
    await writer.tell(repository.parameters.generation)  # told only once its transaction is over
    assert await work
    assert f"{number_text(FIRST_CUSTOM)}=old" in await keys(database, "late")
    await other.close()


async def test_who_was_taken_for_gone_learns_what_is_new_before_it_writes(
    database: Database, repository: Repository
) -> None:
    """Its row is taken out, a parameter is declared by others, and its next flush must know it."""
    parameters = repository.parameters
    await database.system["processes"].delete_many({})
    parameters.processes._told -= LEASE + 1
    assert not parameters.fresh

    async def work(session: Any) -> None:
        await settle(
            database, session, [Change("SearchParameter/a", custom.read(definition("a", "Patient.name.use")), 1)]
        )

    await in_transaction(database, work)
    patient = {"resourceType": "Patient", "id": "p", "name": [{"use": "old"}]}
    await put(repository, patient)
    assert f"{number_text(FIRST_CUSTOM)}=old" in await keys(database, "p")
    assert parameters.fresh
    assert await database.system["processes"].count_documents({"generation": parameters.generation}) == 1


async def test_keys_of_another_layout_are_rebuilt_and_searches_wait(database: Database) -> None:
    repository = Repository(database, Clock(), query_seconds=60, max_pending=100)
    await repository.start()
    await put(repository, {"resourceType": "Patient", "id": "p", "gender": "male"})
    await repository.stop()
    await database.resource.update_many({}, {"$set": {"k": ["of another layout"]}})
    await database.state.update_one({"_id": PARAMETERS}, {"$set": {"layout": LAYOUT - 1}})
    await repository.start()
    gender = registry.find("Patient", "gender")
    assert gender is not None
    male = {"k": f"{gender.number}=male"}
    with pytest.raises(Unavailable, match="being rebuilt"):
        await repository.find(SYSTEM, male, limit=1)
    assert await repository.read(SYSTEM, "Patient", "p") is not None, "what needs no search is answered"
    await reindex(repository, database)
    assert [one.id for one in await repository.find(SYSTEM, male, limit=1)] == ["p"]
    await repository.stop()


async def test_only_a_newer_server_rebuilds_to_its_layout(database: Database, repository: Repository) -> None:
    rebuild = {"layout": LAYOUT + 1, "since": 1, "left": ["Patient"]}
    await database.state.update_one({"_id": PARAMETERS}, {"$set": {"rebuild": rebuild}})
    await database.state.update_one({"_id": REINDEX}, {"$set": {"due.Patient": 1}})
    assert not await Reindexer(database, repository.parameters, extract, share=1).work()
    await repository.parameters.refresh()
    assert repository.parameters.trouble


async def test_silence_and_ended_processes_are_buried(
    database: Database, repository: Repository, another: Processes
) -> None:
    await another.join()
    processes = repository.parameters.processes
    assert len(await processes.alive()) == 2
    table = database.system["processes"]
    await table.update_one({"generation": -1}, [{"$set": {"seen": {"$subtract": ["$$NOW", 3_600_000]}}}])
    assert await processes.alive() == [database.incarnation]
    assert not await another.tell(1), "and are told so when they come back"


async def test_erasure_undeclares(database: Database, repository: Repository) -> None:
    await put(repository, definition("a", "Patient.name.use"))
    assert await repository.erase(SYSTEM, "SearchParameter", "a") == 1
    assert registry.find("Patient", "a") is None
    assert await states(database) == {("a", 0): "dropped"}
