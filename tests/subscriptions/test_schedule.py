"""@scheduled: declared by presence, done by one process at a time, and by another when that one is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import uuid4

import pytest

from fhir_server.context import Context
from fhir_server.registry import Scheduled, registry, scheduled
from fhir_server.storage.database import Database
from subscriptions.schedule import Schedule

Run = Callable[[Context], Awaitable[None]]
SECONDS = 60.0  # after which nobody waits any longer
HOUR = 3600.0  # seconds


class House:
    """Processes with one job; each may begin, end in order, or be gone as after a kill."""

    def __init__(self, uri: str, prefix: str, stack: AsyncExitStack) -> None:
        self._uri, self._prefix, self._stack = uri, prefix, stack
        self._name = f"job-{uuid4().hex}"

    def process(self, run: Run, *, every: float = 0.01, mine: float = 30.0) -> Schedule:
        """One that is not started yet."""
        database = Database(self._uri, self._prefix)
        self._stack.push_async_callback(database.close)
        jobs = {self._name: Scheduled(self._name, every, run)}
        made = Schedule(database, lambda: None, jobs, mine=mine, look=0.01)  # type: ignore[arg-type, return-value]
        self._stack.push_async_callback(made.stop)
        return made

    async def die(self, one: Schedule) -> None:
        """As after kill -9: it works no more, and gives nothing back."""
        one._rows = _Nowhere()  # type: ignore[assignment]
        await one.stop()


class _Nowhere:
    """A collection that a dead process no longer reaches."""

    async def update_one(self, *_: object) -> None:
        return None

    async def update_many(self, *_: object) -> None:
        return None


@pytest.fixture
async def house(mongo_uri: str, database: str) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        yield House(mongo_uri, database, stack)


@asynccontextmanager
async def soon() -> AsyncIterator[None]:
    async with asyncio.timeout(SECONDS):
        yield


class Running:
    """A job that is under way until it is let go."""

    def __init__(self) -> None:
        self.began, self.go = asyncio.Event(), asyncio.Event()

    async def __call__(self, ctx: Context) -> None:
        self.began.set()
        await self.go.wait()


async def test_one_process_at_a_time_again_and_again(house: House) -> None:
    at_once, most, count, enough = 0, 0, 0, asyncio.Event()

    async def run(ctx: Context) -> None:
        nonlocal at_once, most, count
        at_once, count = at_once + 1, count + 1
        most = max(most, at_once)
        await asyncio.sleep(0.005)  # another could begin meanwhile
        at_once -= 1
        if count >= 20:
            enough.set()

    for _ in range(4):
        await house.process(run).start()
    async with soon():
        await enough.wait()
    assert most == 1


async def test_another_goes_on_when_a_process_was_killed(house: House) -> None:
    first, second = Running(), Running()
    one, two = house.process(first, mine=HOUR), house.process(second)
    await one.start()
    async with soon():
        await first.began.wait()
        await two.start()
        await house.die(one)
        (job,) = two._jobs.values()
        assert not await two._take(job), "it is still the first one's"
        await two._rows.update_one({"_id": job.name}, [{"$set": {"due": "$$NOW"}}])  # its time is over
        await second.began.wait()


async def test_who_stops_hands_over_at_once(house: House) -> None:
    first, second = Running(), Running()
    one, two = house.process(first, mine=HOUR), house.process(second)
    await one.start()
    async with soon():  # far less than the hour for which it was the first one's
        await first.began.wait()
        await two.start()
        await one.stop()
        await second.began.wait()


async def test_what_fails_is_done_again(house: House) -> None:
    tries, done = 0, asyncio.Event()

    async def run(ctx: Context) -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise RuntimeError("not now")
        done.set()

    await house.process(run).start()
    async with soon():
        await done.wait()


async def test_what_takes_too_long_is_ended_and_done_again(house: House) -> None:
    ended, again = asyncio.Event(), asyncio.Event()

    async def run(ctx: Context) -> None:
        if ended.is_set():
            again.set()
            return
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    await house.process(run, mine=0.06).start()
    async with soon():
        await again.wait()


async def test_it_waits_for_its_turn(house: House) -> None:
    count, first = 0, asyncio.Event()

    async def run(ctx: Context) -> None:
        nonlocal count
        count += 1
        first.set()

    one, two = house.process(run, every=60.0), house.process(run, every=60.0)
    await one.start()
    async with soon():
        await first.wait()
        await two.start()
        while (await one._rows.find({"_id": {"$in": list(one._jobs)}}).to_list())[0]["holder"]:
            pass  # the first turn is about to end
    assert not await two._take(next(iter(two._jobs.values())))
    assert count == 1


async def test_who_was_away_too_long_does_not_end_anothers_turn(house: House) -> None:
    first, second = Running(), Running()
    one, two = house.process(first, mine=0.05), house.process(second, mine=HOUR)
    await one.start()
    async with soon():
        await first.began.wait()
        await two.start()
        await second.began.wait()
        first.go.set()
        await one.stop()
    (row,) = await two._rows.find({"_id": {"$in": list(two._jobs)}}).to_list()
    assert row["holder"] == two._process


def test_declaring_is_all_it_takes() -> None:
    @scheduled(seconds=5)
    async def tidy(ctx: Context) -> None: ...

    job = registry.jobs.pop(f"{__name__}.tidy")
    assert (job.seconds, job.run) == (5, tidy)
