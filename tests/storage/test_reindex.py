"""Search keys computed anew: wrong ones are mended, right ones left alone, and a stopped run goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from fhir_server.search.extract import extract
from fhir_server.storage.database import Database
from fhir_server.storage.reindex import BATCH, MARKER, reindex
from fhir_server.storage.unit_of_work import Write


@pytest.fixture
async def database(mongo_uri: str, database: str) -> AsyncIterator[Database]:
    opened = Database(mongo_uri, database)
    await opened.prepare()
    await opened.resource.delete_many({})
    await opened.resource.insert_many([document(number) for number in range(BATCH + 20)])
    yield opened
    await opened.close()


def document(number: int) -> dict[str, object]:
    resource = {"resourceType": "Patient", "id": f"p{number:04d}", "birthDate": "2000-01-01", "gender": "female"}
    write = Write("PUT", "Patient", resource["id"], resource)
    write.index = extract(resource).document()
    write.prepare()
    write.seal(lambda previous: previous + 1000, lambda: number)
    return write.envelope()


def quiet(done: int, total: int) -> None:
    assert done <= total


async def test_wrong_keys_are_mended_and_right_ones_left_alone(database: Database) -> None:
    before = await database.resource.find().to_list()
    await database.resource.update_one({"_id": "Patient/p0003"}, {"$set": {"k": ["stale"]}, "$unset": {"r": ""}})
    await database.resource.update_one({"_id": f"Patient/p{BATCH + 5:04d}"}, {"$unset": {"k": "", "s": ""}})
    assert await reindex(database, extract, quiet) == 2
    assert await database.resource.find().to_list() == before
    assert await reindex(database, extract, quiet) == 0


async def test_a_stopped_run_goes_on_where_it_stopped(database: Database) -> None:
    await database.resource.update_many({}, {"$set": {"k": ["stale"]}})

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await reindex(database, extract, stop)
    assert await database.resource.count_documents({"k": "stale"}) == 20
    assert await reindex(database, extract, quiet) == BATCH + 20
    assert await database.resource.count_documents({"k": "stale"}) == 0
    assert await database.markers.find_one({"_id": MARKER}) is None


async def test_a_deletion_stays_without_keys(database: Database) -> None:
    await database.resource.replace_one({"_id": "Patient/p0001"}, {"_id": "Patient/p0001", "ty": "Patient", "d": True})
    await reindex(database, extract, quiet)
    deleted = await database.resource.find_one({"_id": "Patient/p0001"})
    assert deleted is not None
    assert "k" not in deleted
