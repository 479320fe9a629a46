"""The stream of versions: every one, in the order of commits, from a place on, and what a lost place is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from fhir_server.access.principal import ANYONE
from subscriptions.feed import Feed, HistoryLost, Json, load, stored_since
from tests.subscriptions.plant import Plant, observation, plant


@pytest.fixture
async def made(mongo_uri: str, database: str) -> AsyncIterator[Plant]:
    async with plant(mongo_uri, database, start=False) as one:
        yield one


async def rows(feed: Feed, count: int) -> list[Json]:
    found: list[Json] = []
    async for batch in feed.batches():
        found += batch.rows
        if len(found) >= count:
            break
    return found


async def test_every_version_comes_in_the_order_of_commits_without_its_text(made: Plant) -> None:
    async with Feed(made.database, None) as feed:
        await asyncio.gather(*(made.put(observation(f"o{number}")) for number in range(30)))
        await made.put(None, "Observation/o3")
        found = await rows(feed, 31)
    assert [(row["r"], row["v"]) for row in found] == await made.commit_order("Observation")
    assert found[-1]["d"]
    assert all(row["size"] > 100 and "j" not in row and row["ty"] == "Observation" for row in found[:-1])


async def test_a_feed_goes_on_behind_any_of_its_rows(made: Plant) -> None:
    async with Feed(made.database, None) as feed:
        for number in range(4):
            await made.put(observation(f"p{number}"))
        found = await rows(feed, 4)
    async with Feed(made.database, found[1]["_id"]) as again:
        assert [row["r"] for row in await rows(again, 2)] == [row["r"] for row in found[2:]]


async def test_an_empty_batch_has_a_place_too_and_nothing_is_missed_behind_it(made: Plant) -> None:
    async with Feed(made.database, None) as feed:
        async for batch in feed.batches():
            assert batch.rows == []
            break
    await made.put(observation("q"))
    async with Feed(made.database, batch.place.token) as feed:
        assert [row["r"] for row in await rows(feed, 1)] == ["Observation/q"]


async def test_a_place_that_the_database_does_not_know_is_lost(made: Plant) -> None:
    """An oplog cannot be made to forget within a test: its smallest size is a gigabyte."""
    with pytest.raises(HistoryLost):
        async with Feed(made.database, {"_data": "zz"}) as feed:
            await rows(feed, 1)


async def test_versions_are_read_again_by_their_stamps(made: Plant) -> None:
    stamps = [(await made.put(observation(f"r{number}"))).updated for number in range(5)]
    found = [row["r"] async for some in stored_since(made.database, stamps[2]) for row in some]
    assert found == ["Observation/r2", "Observation/r3", "Observation/r4"]


async def test_changes_are_loaded_with_the_version_before(made: Plant) -> None:
    await made.put(observation("s"))
    await made.put(observation("s", status="amended"))
    await made.put(None, "Observation/s")
    await made.put(observation("s", status="corrected"))
    wanted = [{"r": row["_id"].rpartition("/")[0], "v": row["v"], "u": row["u"]} for row in await versions(made, "s")]
    changes = list((await load(made.database, wanted)).values())
    assert [(change.version, change.interaction) for change in changes] == [
        (1, "create"),
        (2, "update"),
        (3, "delete"),
        (4, "create"),
    ]
    assert [change.before is not None for change in changes] == [False, True, True, False]


async def test_what_was_erased_is_not_loaded_even_when_it_was_made_again(made: Plant) -> None:
    await made.put(observation("t"))
    (row,) = await versions(made, "t")
    await made.repository.erase(ANYONE, "Observation", "t")
    old = {"r": "Observation/t", "v": 1, "u": row["u"]}
    assert await load(made.database, [old]) == {}
    await made.put(observation("t"))
    assert await load(made.database, [old]) == {}


async def versions(made: Plant, id_: str) -> list[Json]:
    found = made.database.version.find({"r": f"Observation/{id_}"}, {"v": 1, "u": 1}).sort("v", 1)
    return await found.to_list()
