"""Search keys computed anew: wrong ones are mended, right ones left alone, and a stopped run goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from fhir_server.search.extract import extract
from fhir_server.search.keys import Index
from fhir_server.search.registry import LAYOUT
from fhir_server.storage.database import Database
from fhir_server.storage.declarations import REINDEX
from fhir_server.storage.parameters import Parameters
from fhir_server.storage.processes import Processes
from fhir_server.storage.reindex import BATCH, Reindexer, Stolen
from fhir_server.storage.unit_of_work import Write

COUNT = BATCH + 20


@pytest.fixture
async def database(mongo_uri: str, database: str) -> AsyncIterator[Database]:
    opened = Database(mongo_uri, database)
    await opened.prepare()
    await opened.resource.delete_many({})
    for name in ("state", "processes"):
        await opened.system[name].delete_many({})
    yield opened
    await opened.close()


@pytest.fixture
async def parameters(database: Database) -> AsyncIterator[Parameters]:
    started = Parameters(database)
    await started.start()
    await database.resource.insert_many([document(number) for number in range(COUNT)])
    yield started
    await started.stop()


def document(number: int) -> dict[str, Any]:
    resource = {"resourceType": "Patient", "id": f"p{number:04d}", "birthDate": "2000-01-01", "gender": "female"}
    write = Write("PUT", "Patient", resource["id"], resource)
    write.find_by("")
    write.prepare()
    write.seal(lambda previous: previous + 1000, lambda: number)
    return write.envelope()


async def reindex(
    parameters: Parameters, database: Database, extracting: Callable[[dict[str, Any]], Index] = extract
) -> dict[str, Any]:
    """Ask for everything and do it; answers the marker."""
    if not (await parameters.status())["due"]:
        await parameters.request()
    assert await Reindexer(database, parameters, extracting, share=1).work()
    return await parameters.status()


async def test_wrong_keys_are_mended_and_right_ones_left_alone(database: Database, parameters: Parameters) -> None:
    before = await database.resource.find().to_list()
    await database.resource.update_one({"_id": "Patient/p0003"}, {"$set": {"k": ["stale"]}, "$unset": {"r": ""}})
    await database.resource.update_one({"_id": f"Patient/p{BATCH + 5:04d}"}, {"$unset": {"k": "", "s": ""}})
    marker = await reindex(parameters, database)
    assert (marker["changed"], marker["done"], marker["total"], marker["due"]) == (2, COUNT, COUNT, {})
    assert await database.resource.find().to_list() == before
    assert (await reindex(parameters, database))["changed"] == 0


async def test_a_stopped_run_goes_on_where_it_stopped(database: Database, parameters: Parameters) -> None:
    await database.resource.update_many({}, {"$set": {"k": ["stale"]}})
    count = 0

    def stop(resource: dict[str, Any]) -> Index:
        nonlocal count
        count += 1
        if count == BATCH + 1:
            raise KeyboardInterrupt
        return extract(resource)

    with pytest.raises(KeyboardInterrupt):
        await reindex(parameters, database, stop)
    assert await database.resource.count_documents({"k": "stale"}) == 20
    seen = []

    def note(resource: dict[str, Any]) -> Index:
        seen.append(resource["id"])
        return extract(resource)

    assert (await reindex(parameters, database, note))["changed"] == COUNT
    assert len(seen) == 20
    assert await database.resource.count_documents({"k": "stale"}) == 0


async def test_a_deletion_stays_without_keys(database: Database, parameters: Parameters) -> None:
    await database.resource.replace_one({"_id": "Patient/p0001"}, {"_id": "Patient/p0001", "ty": "Patient", "d": True})
    await reindex(parameters, database)
    deleted = await database.resource.find_one({"_id": "Patient/p0001"})
    assert deleted is not None
    assert "k" not in deleted


async def test_a_later_write_keeps_its_own_keys(database: Database, parameters: Parameters) -> None:
    """What changes between being read and being written is left as its writer made it."""
    await database.resource.update_one({"_id": "Patient/p0002"}, {"$set": {"k": ["stale"]}})

    async def overtake() -> None:
        await database.resource.update_one({"_id": "Patient/p0002"}, {"$set": {"k": ["writer's"], "v": 2}})

    class Overtaken(Reindexer):
        async def _updates(self, documents: list[dict[str, Any]]) -> Any:
            found = await super()._updates(documents)
            await overtake()
            return found

    await parameters.request(["Patient"])
    assert await Overtaken(database, parameters, extract, share=1).work()
    found = await database.resource.find_one({"_id": "Patient/p0002"})
    assert found is not None
    assert found["k"] == ["writer's"]


async def test_who_lost_the_lease_writes_nothing(database: Database, parameters: Parameters) -> None:
    await database.resource.update_many({}, {"$set": {"k": ["stale"]}})

    class Robbed(Reindexer):
        async def _updates(self, documents: list[dict[str, Any]]) -> Any:
            found = await super()._updates(documents)
            await database.state.update_one({"_id": REINDEX}, {"$set": {"owner": "another"}})
            return found

    await parameters.request(["Patient"])
    with pytest.raises(Stolen):
        await Robbed(database, parameters, extract, share=1).work()
    assert await database.resource.count_documents({"k": "stale"}) == COUNT
    await database.state.update_one({"_id": REINDEX}, {"$unset": {"owner": ""}})


async def test_one_at_a_time(mongo_uri: str, database: Database, parameters: Parameters) -> None:
    other = Database(mongo_uri, database.prefix)
    others = Processes(other, LAYOUT)
    await others.join()
    await parameters.request(["Patient"])
    await others.tell(parameters.generation)
    taken: dict[str, Any] = {"owner": other.incarnation, "until": {"$add": ["$$NOW", 60_000]}}
    await database.state.update_one({"_id": REINDEX}, [{"$set": taken}])
    mine = Reindexer(database, parameters, extract, share=1)
    assert not await mine.work(), "another process is at it"
    await others.leave()
    assert await mine.work(), "that one is gone"
    assert (await parameters.status())["due"] == {}
    await other.close()


async def test_a_resource_that_cannot_be_indexed_is_told_of(database: Database, parameters: Parameters) -> None:
    def fail(resource: dict[str, Any]) -> Index:
        if resource["id"] == "p0007":
            raise ValueError("a bug")
        return extract(resource)

    marker = await reindex(parameters, database, fail)
    assert (marker["failed"], marker["done"]) == (1, COUNT)
