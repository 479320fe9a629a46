"""One process leads at a time, and what an earlier one still sends is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from fhir_server.storage.clock import Clock
from fhir_server.storage.database import Database
from subscriptions import store
from subscriptions.lease import Lease, LeaseLost
from subscriptions.numbering import Numbering, Plan

LONG = 600.0  # seconds: none ends by itself, however long the machine stands still


@pytest.fixture
async def opened(mongo_uri: str, database: str) -> AsyncIterator[Database]:
    found = Database(mongo_uri, database)
    await store.prepare(found, event_days=1)
    await found.system["sub_state"].delete_many({})
    yield found
    await found.close()


async def test_one_of_many_takes_it(opened: Database) -> None:
    leases = [Lease(opened, LONG) for _ in range(10)]
    taken = [state for state in await asyncio.gather(*(one.take() for one in leases)) if state is not None]
    assert len(taken) == 1
    assert [one.epoch for one in leases if one.epoch] == [1]


async def test_it_is_taken_when_given_back_with_the_place(opened: Database) -> None:
    first, second = Lease(opened, LONG), Lease(opened, LONG)
    assert await first.take() is not None
    assert await second.take() is None
    first.place = {"token": {"_data": "00"}, "at": 7}
    await first.give_back()
    state = await second.take()
    assert state is not None
    assert (state["epoch"], state["at"], state["token"]) == (2, 7, {"_data": "00"})


async def test_it_is_taken_when_it_has_expired_and_the_earlier_leader_finds_out(opened: Database) -> None:
    first, second = Lease(opened, LONG), Lease(opened, LONG)
    await first.take()
    await expire(opened)
    assert await second.take() is not None
    with pytest.raises(LeaseLost):
        await first.renew()
    with pytest.raises(LeaseLost):
        await Numbering(opened, first, Clock()).commit(Plan(due={"x"}), {"at": 1})
    await first.give_back()
    await second.renew()


async def test_a_place_is_not_put_back_behind_a_commit_whose_answer_was_lost(opened: Database) -> None:
    lease = Lease(opened, LONG)
    await lease.take()
    await Numbering(opened, lease, Clock()).commit(Plan(due={"x"}), {"at": 2})
    lease.seq -= 1
    lease.place = {"at": 1}
    await lease.give_back()
    state = await Lease(opened, LONG).take()
    assert state is not None
    assert state["at"] == 2


async def expire(database: Database) -> None:
    """As if nobody had renewed it for long."""
    past = {"$set": {"until": {"$subtract": ["$$NOW", 1000]}}}
    await database.system["sub_state"].update_one({"_id": "engine"}, [past])
