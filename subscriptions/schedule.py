"""What @scheduled declares: done when it is due, by whichever process takes it first.

A job is a document {due, holder} of sub_job. Who takes it moves `due` ahead by the time for which it is theirs, and
back to the next turn when it is done: a process that dies in between delays the job by that time, and no more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import structlog
from pymongo.errors import DuplicateKeyError, PyMongoError

from fhir_server.context import Context
from fhir_server.registry import Scheduled, registry
from fhir_server.storage.database import Collection, Database

log = structlog.get_logger(__name__)

MOST = 2 / 3  # of that time a run may take
LOOK = 1.0  # seconds at least between two looks
_LONG_AGO = datetime.fromtimestamp(0, UTC)


class Schedule:
    """The declared jobs; `make_context` gives the server's own context, in which they run.

    `mine` is the seconds for which a job belongs to who took it.
    """

    def __init__(
        self,
        database: Database,
        make_context: Callable[[], Context],
        jobs: Mapping[str, Scheduled] = registry.jobs,
        *,
        mine: float = 30.0,
        look: float = LOOK,
    ) -> None:
        self._rows: Collection = database.system["sub_job"]
        self._process = database.incarnation
        self._make_context = make_context
        self._jobs = jobs
        self._mine, self._most, self._look = mine, mine * MOST, look
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Work until `stop`."""
        for name in self._jobs:
            try:
                nobody = {"$setOnInsert": {"due": _LONG_AGO, "holder": ""}}
                await self._rows.update_one({"_id": name}, nobody, upsert=True)
            except DuplicateKeyError:  # another process, at the same moment
                pass
        self._tasks = [asyncio.create_task(self._work(job)) for job in self._jobs.values()]

    async def stop(self) -> None:
        """Do no more; what was under way is due at once, for others."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:  # what was being taken at this moment
            await self._rows.update_many({"holder": self._process}, [{"$set": {"due": "$$NOW", "holder": ""}}])
        except PyMongoError as error:
            log.warning("jobs not handed over", exception=type(error).__name__)

    async def _work(self, job: Scheduled) -> None:
        while True:
            try:
                if await self._take(job):
                    await self._run(job)
            except PyMongoError as error:
                log.warning("a job could not be looked at", job=job.name, exception=type(error).__name__)
            await asyncio.sleep(max(min(job.seconds, 60.0), self._look))

    async def _take(self, job: Scheduled) -> bool:
        """Whether the job is due and ours now."""
        theirs = {"_id": job.name, "$expr": {"$lte": ["$due", "$$NOW"]}}
        taken = await self._rows.find_one_and_update(
            theirs, [{"$set": {"due": _ahead(self._mine), "holder": self._process}}]
        )
        return taken is not None

    async def _run(self, job: Scheduled) -> None:
        ahead = job.seconds
        try:
            async with asyncio.timeout(self._most):
                await job.run(self._make_context())
        except asyncio.CancelledError:
            ahead = 0.0
            raise
        except Exception as error:
            log.warning("a job failed", job=job.name, exception=type(error).__name__)
        finally:
            ours = {"_id": job.name, "holder": self._process}
            await self._rows.update_one(ours, [{"$set": {"due": _ahead(ahead), "holder": ""}}])


def _ahead(seconds: float) -> object:
    return {"$add": ["$$NOW", int(seconds * 1000)]}
