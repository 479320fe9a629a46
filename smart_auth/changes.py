"""How every process learns at once that tokens, users or rights have changed: revocation holds from the next request.

A process may use what it keeps while its last look at the database's counts began less than LEASE ago, and it kept it
under the same counts. Whoever takes something away moves a count and waits until every lease of before has run out:
a process that was asleep, stuck or cut off meanwhile finds its own run out, too.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from math import inf

import structlog
from pymongo.errors import PyMongoError

from fhir_server.outcomes import Unavailable
from fhir_server.storage.database import Database
from fhir_server.storage.generation import RIGHTS, access_generations, advance_revocations

log = structlog.get_logger(__name__)

LEASE = 1.0  # seconds for which a look counts
POLL = 0.3  # seconds between two looks while somebody asks
MARGIN = 0.1  # seconds by which clocks may run apart within a lease
PATIENCE = 5.0  # seconds for which one looks again when a look took as long as it counts
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def seconds() -> float:
    """A clock that nobody sets, and that goes on while the machine sleeps, where there is one."""
    return time.clock_gettime(_CLOCK)


class Changes:
    """The counts as this process knows them.

    What was made under `rights` (or, where it says who is in whose care, under `total`) may be used while that is the
    same and `seconds() < until`. `consents` is the part of `rights` that Consents have changed.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._looking = asyncio.Lock()
        self._follower: asyncio.Task[None] | None = None
        self.rights = self.consents = self.total = -1
        self.until = -inf
        self.used = False  # since the last look: nobody follows what nobody asks for

    async def start(self) -> None:
        """Follow the counts in the background until `stop`; to be called once `Processes` counts this process."""
        self._follower = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        """Follow no longer; what is kept may still be used until the lease ends."""
        if self._follower is not None:
            self._follower.cancel()
            with suppress(asyncio.CancelledError):
                await self._follower

    async def current(self) -> None:
        """Return when what this process knows counts. Raises Unavailable (503) when the database does not tell."""
        self.used = True
        began, looks = seconds(), 0
        while looks < 3 or seconds() - began < PATIENCE:
            looks += 1
            if seconds() < self.until:
                return
            async with self._looking:
                if seconds() >= self.until:  # nobody who waited here before us has looked
                    await self._look()
                if seconds() < self.until:  # asked here, as the next to commit ends it again before we come to ask
                    return
        raise Unavailable("The database answers too slowly to tell who may do what.", headers={"Retry-After": "1"})

    async def announce(self) -> None:
        """Return once no process uses what was known of tokens, users and clients before. Raises Unavailable (503)."""
        try:
            await advance_revocations(self._database)
        except PyMongoError as error:
            log.error("a revocation could not be announced", exception=type(error).__name__)
            raise Unavailable("The change is stored; that others know of it is not certain. Try again.") from None
        await self.settle()

    async def settle(self, types: Collection[str] = RIGHTS) -> None:
        """To be called after a commit of these types: return once no process uses the rights of before.

        Who is in whose care is known here at once, and elsewhere within LEASE: nobody waits for it. What is committed
        does not fail any more: without a word of the database all that can be known is that the leases run out.
        """
        self.until = -inf  # of what was known before
        alone = False
        with suppress(Unavailable):
            async with self._looking:
                await self._look()
            alone = RIGHTS.isdisjoint(types) or not await self._others()
        if not alone:
            await asyncio.sleep(LEASE + MARGIN)

    async def _others(self) -> bool:
        """Whether another process may hold a lease; one that comes later begins with a look."""
        ours = {"_id": {"$ne": self._database.incarnation}}
        with _told():
            return await self._database.system["processes"].find_one(ours, {"_id": 1}) is not None

    async def _look(self) -> None:
        """Learn the counts. One look at a time, or an earlier one could bring back what a later one has ended."""
        began = seconds()
        with _told():
            rights, consents, care = await access_generations(self._database)
        self.rights, self.consents, self.total = rights, consents, rights + care
        self.until = began + LEASE

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(POLL)
            if self.used:
                self.used = False
                with suppress(Unavailable):  # then the lease ends
                    async with self._looking:
                        await self._look()


@contextmanager
def _told() -> Iterator[None]:
    """A database that does not answer is Unavailable (503)."""
    try:
        yield
    except PyMongoError as error:
        log.warning("rights not followed", exception=type(error).__name__)
        raise Unavailable("The database cannot tell who may do what.", headers={"Retry-After": "1"}) from None
