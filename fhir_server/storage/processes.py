"""Which server processes live, and which generation of the search parameters each of them writes by.

A process may write while it is fresh: it has told the others of itself within LEASE. One that says nothing for so
much longer that no transaction of its own can still be open is taken for gone. docs/decisions/0011 has the argument.
"""

from __future__ import annotations

import os
import socket
import time
from typing import Any

from pymongo.errors import OperationFailure

from fhir_server.storage.database import Database, is_alive

Document = dict[str, Any]

LEASE = 10.0  # seconds for which a process that told of itself may write
BEAT = 3.0  # seconds between two tellings
_DEFAULT_LIFETIME = 60  # seconds that MongoDB lets a transaction stay open, where we may not ask
_UNKNOWN = -1
_ours: set[str] = set()  # incarnations of this very process: tests have several


def _seconds() -> float:
    """A clock that goes on while the machine sleeps, where there is one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Processes:
    """This process among those that share a database."""

    def __init__(self, database: Database, layout: int) -> None:
        self._database = database
        _ours.add(database.incarnation)
        self._layout = layout
        self._rows = database.system["processes"]
        self.works = False  # whether this process does what is to be reindexed
        self._told = -LEASE
        self._patience = LEASE + 2 * _DEFAULT_LIFETIME

    @property
    def fresh(self) -> bool:
        """Whether this process may write: nobody can have taken it for gone."""
        return _seconds() < self._told + LEASE

    @property
    def due(self) -> bool:
        """Whether it is time to tell the others again."""
        return _seconds() > self._told + BEAT

    async def join(self) -> None:
        """Be counted from now on, knowing nothing yet: whoever waits for all to know something waits for us."""
        try:
            answer = await self._database.client.admin.command("getParameter", transactionLifetimeLimitSeconds=1)
            # MongoDB looks for transactions past their time only now and then: twice their time is safe.
            self._patience = LEASE + 2 * float(answer["transactionLifetimeLimitSeconds"])
        except OperationFailure:
            pass  # the database user may not ask
        self._told = -LEASE  # what we knew before does not count any longer
        await self._note(_UNKNOWN, upsert=True)

    async def tell(self, generation: int) -> bool:
        """Say that all we write from now on is by this generation; False when we were taken for gone."""
        before = _seconds()
        found = await self._note(generation, upsert=False)
        self._told = before if found else -LEASE
        return found

    async def _note(self, generation: int, *, upsert: bool) -> bool:
        change: Document = {
            "$set": {"generation": generation, "layout": self._layout, "works": self.works},
            "$currentDate": {"seen": True},
        }
        done = await self._rows.update_one({"_id": self._database.incarnation}, change, upsert=upsert)
        return done.matched_count > 0

    async def leave(self) -> None:
        """Not be counted any longer; nothing may be written after it."""
        self._told = -LEASE
        await self._rows.delete_one({"_id": self._database.incarnation})

    async def lagging(self, generation: int) -> list[str]:
        """The live processes that may still write by an older generation, or by another layout of the keys."""
        await self._bury()
        behind = {"$or": [{"generation": {"$lt": generation}}, {"layout": {"$ne": self._layout}}]}
        return [row["_id"] async for row in self._rows.find(behind, {"_id": 1})]

    async def alive(self) -> list[str]:
        """The live processes."""
        await self._bury()
        return [row["_id"] async for row in self._rows.find({}, {"_id": 1})]

    async def workers(self) -> int:
        """How many live processes do what is to be reindexed."""
        await self._bury()
        return await self._rows.count_documents({"works": True})

    async def _bury(self) -> None:
        """Take out what is gone: long silent, or a process of this machine that has ended."""
        silence = {"$lt": ["$seen", {"$subtract": ["$$NOW", int(self._patience * 1000)]}]}
        await self._rows.delete_many({"$expr": silence})
        here = f"fhir-server/{socket.gethostname()}/"
        among = self._rows.find({"_id": {"$gte": here, "$lt": here + "\uffff"}}, {"_id": 1})
        ended = [row["_id"] async for row in among if has_ended(row["_id"])]
        if ended:
            # What they had sent may still be open in the database.
            await self._database.abandon_dead_transactions()
            if self._database.sees_transactions:
                await self._rows.delete_many({"_id": {"$in": ended}})


def has_ended(incarnation: str) -> bool:
    """Whether it was a process of this machine that has ended; of other machines nobody here can tell."""
    _, host, pid, *_ = incarnation.split("/")
    if host != socket.gethostname() or incarnation in _ours:
        return False
    # Our own number with another name was a process before us: a container starts with the same numbers.
    return int(pid) == os.getpid() or not is_alive(int(pid))
