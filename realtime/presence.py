"""Who is where, across processes: in the database, under leases, so that a process that dies leaves no ghosts.

A place is anything one can be in: "user Practitioner/7" (online), "/ encounter/1" (a case's room), "/consultation
encounter/1" (a call). Who is in it is one document, changed atomically, so that exactly one process sees somebody come
first or go last, and tells of it.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError, PyMongoError
from pymongo.write_concern import WriteConcern

from fhir_server.storage.database import Collection, Database

log = structlog.get_logger(__name__)

Json = dict[str, Any]
Told = Callable[[str, Json, list[Json]], Awaitable[None]]  # place, who came or went, who else is there

BEAT = 3.0  # seconds between two signs of life
LEASE = 10.0  # seconds of silence after which a process is taken for dead
_PASSING = WriteConcern(w=1)  # what is lost with the database is only who was there


class Presence:
    """Who is where. `joined` and `left` are told of everybody who comes and goes, by the process that noticed."""

    def __init__(
        self, database: Database, joined: Told, left: Told, *, beat: float = BEAT, lease: float = LEASE
    ) -> None:
        self._process = database.incarnation
        self._places: Collection = database.system["presence"].with_options(write_concern=_PASSING)
        self._leases: Collection = database.system["presence_lease"].with_options(write_concern=_PASSING)
        self._joined, self._left = joined, left
        self._beat, self._lease = beat, lease
        self._mine: list[tuple[str, Json]] = []
        self._job: asyncio.Task[None] | None = None
        self._now = time.monotonic

    async def start(self) -> None:
        """Be alive for the others until `stop`."""
        await self._note(upsert=True)
        self._job = asyncio.create_task(self._live())

    async def stop(self) -> None:
        """Take everybody out whom this process brought in."""
        if self._job is not None:
            self._job.cancel()
            await asyncio.gather(self._job, return_exceptions=True)
        try:
            for place, entry in list(self._mine):
                await self.leave(place, entry)
            await self._leases.delete_one({"_id": self._process})
        except PyMongoError as error:
            log.warning("presence not taken back", exception=type(error).__name__)

    async def enter(self, place: str, entry: Json) -> list[Json]:
        """Be there; answers who was there before. `entry` is told to others, and must differ for each who enters."""
        self._mine.append((place, entry))
        change = {"$push": {"who": {"p": self._process, **entry}}}
        try:
            found = await self._places.find_one_and_update({"_id": place}, change, upsert=True)
        except DuplicateKeyError:  # somebody else made the place at the same moment
            found = await self._places.find_one_and_update({"_id": place}, change)
        before = _told(found)
        await self._joined(place, entry, before)
        return before

    async def leave(self, place: str, entry: Json) -> None:
        """Be there no longer."""
        if (place, entry) in self._mine:
            self._mine.remove((place, entry))
        await self._take_out(place, {"p": self._process, **entry})

    async def at(self, place: str) -> list[Json]:
        """Who is there, in the order they came."""
        return _told(await self._places.find_one({"_id": place}))

    async def places(self, kind: str) -> list[str]:
        """The places of a kind ("user") where somebody is, without the kind."""
        start = f"{kind} "
        wanted = {"_id": {"$gte": start, "$lt": start + "\uffff"}, "who.0": {"$exists": True}}
        return [row["_id"].removeprefix(start) async for row in self._places.find(wanted, {"_id": 1}).sort("_id", 1)]

    async def _take_out(self, place: str, who: Json) -> None:
        found = await self._places.find_one_and_update(
            {"_id": place, "who": who}, {"$pull": {"who": who}}, return_document=ReturnDocument.AFTER
        )
        if found is None:
            return
        rest = _told(found)
        if not rest:
            await self._places.delete_one({"_id": place, "who": []})
        await self._left(place, {name: value for name, value in who.items() if name != "p"}, rest)

    async def _live(self) -> None:
        silent, seen = False, self._now()
        while True:
            await asyncio.sleep(self._beat)
            now = self._now()
            stopped, seen = now - seen > self._lease, now
            try:
                if not await self._note(upsert=False):
                    await self._come_back()
                if not silent and not stopped:  # the others may have had no time to say that they live
                    await self._bury()
                silent = False
            except Exception as error:
                log.warning("presence not kept up", exception=type(error).__name__)
                silent = True
                await asyncio.sleep(self._lease)

    async def _note(self, *, upsert: bool) -> bool:
        done = await self._leases.update_one({"_id": self._process}, {"$currentDate": {"seen": True}}, upsert=upsert)
        return done.matched_count > 0

    async def _come_back(self) -> None:
        """We were taken for dead: all who are here come in anew."""
        await self._note(upsert=True)
        mine, self._mine = self._mine, []
        for place, entry in mine:
            await self._take_out(place, {"p": self._process, **entry})
            await self.enter(place, entry)

    async def _bury(self) -> None:
        """Take out whom dead processes brought in."""
        silence = {"$lt": ["$seen", {"$subtract": ["$$NOW", int(self._lease * 1000)]}]}
        await self._leases.delete_many({"$expr": silence})
        # In this order: who is in a place had a lease before.
        named = set(await self._places.distinct("who.p"))
        dead = named - {row["_id"] async for row in self._leases.find({}, {"_id": 1})}
        if not dead:
            return
        async for row in self._places.find({"who.p": {"$in": sorted(dead)}}):
            for who in row["who"]:
                if who["p"] in dead:
                    await self._take_out(row["_id"], who)


class Online:
    """Users who are online, once for all their sockets of this process."""

    def __init__(self, presence: Presence) -> None:
        self._presence = presence
        self._sockets: Counter[str] = Counter()
        self._turns: dict[str, asyncio.Lock] = {}
        self._shown: set[str] = set()

    async def come(self, user: str) -> None:
        """Another socket of the user is there."""
        self._sockets[user] += 1
        await self._settle(user)

    async def go(self, user: str) -> None:
        """A socket of the user is gone."""
        self._sockets[user] -= 1
        await self._settle(user)

    async def users(self) -> list[str]:
        """Who is online in any process."""
        return await self._presence.places("user")

    async def _settle(self, user: str) -> None:
        """Have the database say what is true now, however often somebody comes and goes meanwhile."""
        async with self._turns.setdefault(user, asyncio.Lock()):
            wanted = self._sockets[user] > 0
            if wanted and user not in self._shown:
                self._shown.add(user)
                await self._presence.enter(f"user {user}", {})
            elif not wanted and user in self._shown:
                self._shown.discard(user)
                await self._presence.leave(f"user {user}", {})
            if self._sockets[user] <= 0 and user not in self._shown:
                self._sockets.pop(user, None)
                self._turns.pop(user, None)


def _told(row: Json | None) -> list[Json]:
    """Those of a place, without which process they are in."""
    return [{name: value for name, value in who.items() if name != "p"} for who in (row or {}).get("who", ())]
