"""Who is online, over processes that come and go (point 10)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fhir_server.storage.database import Database
from realtime.presence import Online, Presence
from tests.realtime.house import ANN, DORA, MARY, NICK, SECONDS, Site

pytestmark = pytest.mark.asyncio(loop_scope="module")
Sites = tuple[Site, Site]
Json = dict[str, Any]
LEASE = 600.0  # seconds


async def test_staff_hear_of_staff_once_for_all_their_sockets(sites: Sites) -> None:
    here, there = sites
    async with here.connect(await here.token(DORA)) as dora, here.connect(await here.token(ANN)) as ann:
        async with there.connect(await there.token(NICK)):
            await dora.hears("user:online", lambda data: data == {"userId": NICK})
            async with here.connect(await here.token(NICK)), there.connect(await there.token(NICK)):
                assert (await dora.ask("user:online"))["users"] == [DORA, NICK]
            assert (await dora.ask("user:online"))["users"] == [DORA, NICK]
            assert "user:offline" not in dora.names()
        await dora.hears("user:offline", lambda data: data == {"userId": NICK})
        async with there.connect(await there.token(MARY)):
            await dora.hears("user:online", lambda data: data == {"userId": MARY})
        assert dora.names().count("user:online") == 2
        assert (await ann.ask("user:online"))["status"] == 403
        assert ann.heard == []


class Told:
    """What a process told of who came and went."""

    def __init__(self) -> None:
        self.news: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    async def joined(self, place: str, entry: Json, before: list[Json]) -> None:
        if not before:
            self.news.put_nowait(("joined", place))

    async def left(self, place: str, entry: Json, rest: list[Json]) -> None:
        if not rest:
            self.news.put_nowait(("left", place))


@asynccontextmanager
async def process(uri: str, prefix: str) -> AsyncIterator[tuple[Presence, Told]]:
    """The presence of a process that beats quickly, and takes nobody for dead who only waits for the machine."""
    opened, told = Database(uri, prefix), Told()
    presence = Presence(opened, told.joined, told.left, beat=0.1, lease=LEASE)
    try:
        await presence.start()
        yield presence, told
        await presence.stop()
    finally:
        await opened.close()


async def test_a_dead_process_leaves_no_ghosts(mongo_uri: str, database: str) -> None:
    prefix = f"{database}_ghosts"
    async with process(mongo_uri, prefix) as (alive, told):
        dead_database, nothing = Database(mongo_uri, prefix), Told()
        dead = Presence(dead_database, nothing.joined, nothing.left, beat=3600, lease=LEASE)
        await dead.start()
        await dead.enter("user Practitioner/1", {})
        await dead.enter("/consultation encounter/1", {"u": "Practitioner/1", "s": "x", "r": "doctor"})
        await alive.enter("user Practitioner/2", {})
        assert await alive.places("user") == ["Practitioner/1", "Practitioner/2"]
        assert await told.news.get() == ("joined", "user Practitioner/2")
        silent = {"$set": {"seen": datetime.now(UTC) - timedelta(seconds=2 * LEASE)}}
        await dead_database.system["presence_lease"].update_one({"_id": dead_database.incarnation}, silent)
        async with asyncio.timeout(SECONDS):
            gone = {await told.news.get(), await told.news.get()}
        assert gone == {("left", "user Practitioner/1"), ("left", "/consultation encounter/1")}
        assert await alive.places("user") == ["Practitioner/2"]
        assert await alive.at("/consultation encounter/1") == []
        # It was only asleep: with its next sign of life all come in anew.
        dead._beat = 0.1
        dead._job.cancel()  # type: ignore[union-attr]
        dead._job = asyncio.create_task(dead._live())
        async with asyncio.timeout(SECONDS):
            while await alive.places("user") != ["Practitioner/1", "Practitioner/2"]:
                await asyncio.sleep(0.02)
        await dead.stop()
        await dead_database.close()
        assert await alive.places("user") == ["Practitioner/2"]


async def test_who_stood_still_leaves_the_others_time_to_say_that_they_live(mongo_uri: str, database: str) -> None:
    """A machine that halts halts all its processes: the one that wakes first must not take the others for dead."""
    moments, buried = [0.0, *(2 * LEASE + one for one in (0.0, 0.1, 0.2))], asyncio.Queue[int]()
    opened, told = Database(mongo_uri, f"{database}_halted"), Told()
    woken = Presence(opened, told.joined, told.left, beat=0.1, lease=LEASE)

    async def bury() -> None:
        buried.put_nowait(len(moments))

    woken._now = lambda: moments.pop(0) if len(moments) > 1 else moments[0]
    woken._bury = bury  # type: ignore[method-assign]
    try:
        await woken.start()
        async with asyncio.timeout(SECONDS):
            assert await buried.get() == 1  # and not when it had just woken up, with two moments left
        await woken.stop()
    finally:
        await opened.close()


async def test_many_comings_and_goings_end_as_the_last_one(mongo_uri: str, database: str) -> None:
    async with (
        process(mongo_uri, f"{database}_many") as (first, _),
        process(mongo_uri, f"{database}_many") as (second, _),
    ):
        ours = [Online(first), Online(second)]
        await asyncio.gather(*(one.come("Practitioner/1") for one in ours for _ in range(20)))
        await asyncio.gather(*(one.go("Practitioner/1") for one in ours for _ in range(19)))
        assert await ours[0].users() == ["Practitioner/1"]
        await asyncio.gather(*(step("Practitioner/1") for one in ours for step in (one.go, one.come, one.go)))
        assert await ours[0].users() == []
