"""Signals reach the listeners of every process, in order, and say when some may be lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from fhir_server.storage.database import Database
from subscriptions import store
from subscriptions.signals import Signals

Json = dict[str, Any]


@pytest.fixture
async def opened(mongo_uri: str, database: str) -> AsyncIterator[Database]:
    found = Database(mongo_uri, database)
    await store.prepare(found, event_days=1)
    yield found
    await found.close()


@pytest.fixture
async def pair(opened: Database) -> AsyncIterator[tuple[Signals, Signals]]:
    both = Signals(opened), Signals(opened)
    for one in both:
        await one.start()
    yield both
    for one in both:
        await one.stop()


def into(queue: asyncio.Queue[Json]) -> Callable[[Json], None]:
    return queue.put_nowait


async def test_both_hear_everything_once_and_each_process_in_order(pair: tuple[Signals, Signals]) -> None:
    here, there = pair
    heard: tuple[asyncio.Queue[Json], asyncio.Queue[Json]] = (asyncio.Queue(), asyncio.Queue())
    for signals, queue in zip(pair, heard, strict=True):
        signals.listen("events", into(queue))
    for number in range(20):
        await here.publish("events", {"hook:a.b": number})
    await there.publish("events", {"end": 1})
    for queue in heard:
        told = [await queue.get() for _ in range(21)]
        assert [one for one in told if one != {"end": 1}] == [{"hook:a.b": number} for number in range(20)]
        assert queue.empty()


async def test_what_was_told_before_is_not_heard(opened: Database, pair: tuple[Signals, Signals]) -> None:
    await pair[0].publish("events", {"old": 1})
    late = Signals(opened)
    heard: asyncio.Queue[Json] = asyncio.Queue()
    late.listen("events", into(heard))
    await late.start()
    await pair[0].publish("events", {"new": 1})
    assert await heard.get() == {"new": 1}
    await late.stop()


async def test_our_own_are_heard_before_publish_returns_and_also_when_the_database_refuses(opened: Database) -> None:
    alone = Signals(opened)
    heard: list[Json] = []
    alone.listen("events", heard.append)
    await alone.publish("events", {"a": 1})
    await alone.publish("events", {"too large": "x" * 17_000_000})
    assert len(heard) == 2
    alone.forget("events", heard.append)


async def test_a_listener_that_fails_harms_no_other(pair: tuple[Signals, Signals]) -> None:
    heard: asyncio.Queue[Json] = asyncio.Queue()

    def broken(_: Json) -> None:
        raise ValueError

    pair[1].listen("events", broken)
    pair[1].listen("events", into(heard))
    await pair[0].publish("events", {"a": 1})
    assert await heard.get() == {"a": 1}


async def test_an_interruption_is_told(opened: Database, pair: tuple[Signals, Signals]) -> None:
    lost: asyncio.Queue[Json] = asyncio.Queue()
    heard: asyncio.Queue[Json] = asyncio.Queue()
    pair[1].listen("lost", into(lost))
    pair[1].listen("events", into(heard))
    cursors: set[int] = set()
    while len(cursors) < len(pair):  # one that just becomes idle or busy may be listed as neither
        async with await opened.client.admin.aggregate(
            [
                {"$currentOp": {"idleCursors": True, "localOps": True}},
                {"$match": {"ns": f"{opened.prefix}_system.signals"}},
            ]
        ) as operations:
            cursors |= {one["cursor"]["cursorId"] async for one in operations if "cursor" in one}
    await opened.system.command({"killCursors": "signals", "cursors": list(cursors)})
    assert await lost.get() == {}
    await pair[0].publish("events", {"after": 1})
    assert await heard.get() == {"after": 1}
