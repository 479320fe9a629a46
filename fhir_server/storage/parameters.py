"""The custom search parameters of a database as this process knows them, and the promise that it writes by them.

docs/decisions/0011-custom-search-parameters.md
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import structlog
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import PyMongoError

from fhir_server.definitions import RESOURCE_TYPES
from fhir_server.search import custom, registry
from fhir_server.search.extract import warm
from fhir_server.search.registry import FIRST_CUSTOM, LAYOUT, SearchParameter
from fhir_server.storage.database import Database
from fhir_server.storage.declarations import (
    OBSERVED,
    PARAMETERS,
    REINDEX,
    RETIRED,
    WRITTEN,
    Change,
    Coverage,
    advance,
    coverage,
    in_transaction,
    make_due,
    parameter_of,
    reconcile,
    settle,
)
from fhir_server.storage.processes import Processes
from fhir_server.storage.unit_of_work import Write

log = structlog.get_logger(__name__)

Document = dict[str, Any]
POLL = 1.0  # seconds until a process knows what another one changed


class Parameters:
    """What of the registry comes from the database: installed at the start, and followed until the end.

    `trouble` says why searches cannot be answered at all, "" when they can; `news` is set whenever there may be
    something to reindex.
    """

    observed = OBSERVED

    def __init__(self, database: Database) -> None:
        self._database = database
        self.processes = Processes(database, LAYOUT)
        self.writing = asyncio.Lock()  # held by the flusher while a transaction of its own is open
        self.generation = -1
        self.trouble = ""
        self.news = asyncio.Event()
        self._looking = asyncio.Lock()
        self._installed: set[SearchParameter] = set()
        self._follower: asyncio.Task[None] | None = None

    # ---- from start to end ---------------------------------------------------------------------------

    async def start(self) -> None:
        """Know the parameters, be known to the other processes, and follow both from here on."""
        await self._prepare()
        await self.processes.join()
        await reconcile(self._database)
        await self._check_layout()
        await self.refresh()
        self._follower = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        """To be called when nothing is written any more."""
        if self._follower is not None:
            self._follower.cancel()
            with suppress(asyncio.CancelledError):
                await self._follower
        with suppress(PyMongoError):  # then our silence tells
            await self.processes.leave()
        registry.install(0, ())
        registry.note_progress({})

    async def _prepare(self) -> None:
        empty = await self._database.resource.find_one({}, {"_id": 1}) is None
        made = {"generation": 1, "next": FIRST_CUSTOM, "layout": LAYOUT if empty else 0}
        await self._database.state.update_one({"_id": PARAMETERS}, {"$setOnInsert": made}, upsert=True)
        await self._database.state.update_one({"_id": REINDEX}, {"$setOnInsert": {"due": {}}}, upsert=True)

    async def _check_layout(self) -> None:
        """Ask for a reindex of everything when the stored keys are of another layout than the queries' one."""

        async def work(session: AsyncClientSession) -> None:
            state = await self._database.state.find_one({"_id": PARAMETERS}, session=session) or {}
            if LAYOUT in (state["layout"], state.get("rebuild", {}).get("layout")):
                return
            generation = int((await advance(self._database, session))["generation"])
            rebuild = {"layout": LAYOUT, "since": generation, "left": sorted(RESOURCE_TYPES)}
            change = {"$set": {"rebuild": rebuild}}
            await self._database.state.update_one({"_id": PARAMETERS}, change, session=session)
            await make_due(self._database, session, RESOURCE_TYPES, generation)
            log.warning("search keys of another layout: everything is reindexed, and searches wait for it")

        await in_transaction(self._database, work)

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(POLL)
            try:
                await self.refresh()
            except Exception as error:
                log.warning("search parameters not followed", exception=type(error).__name__)

    # ---- what the database says ----------------------------------------------------------------------

    async def refresh(self) -> None:
        """Know what the database knows by now; when it returns, everything written from now on is written by that."""
        async with self._looking:
            while not await self._look():
                await self.processes.join()  # we were taken for gone: nothing we know counts
                self.generation = -1

    async def _look(self) -> bool:
        """One look; False when the other processes no longer count us."""
        ids = {"$in": [PARAMETERS, REINDEX]}
        states = {one["_id"]: one async for one in self._database.state.find({"_id": ids})}
        self._note(states[PARAMETERS], states.get(REINDEX, {}))
        generation = int(states[PARAMETERS]["generation"])
        if generation == self.generation:
            return not self.processes.due or await self.processes.tell(generation)
        await self._install(generation)
        async with self.writing:
            pass  # what was being sent by the old parameters is decided
        if not await self.processes.tell(generation):
            return False
        self.generation = generation
        self.news.set()
        return True

    def _note(self, state: Document, work: Document) -> None:
        due, current = work.get("due", {}), work.get("current") or {}
        registry.note_progress(
            {name: progress_of(current) if name == current.get("type") else "it waits for its turn" for name in due}
        )
        rebuild = state.get("rebuild")
        self.trouble = ""
        if rebuild or state["layout"] != LAYOUT:
            left = len((rebuild or {}).get("left", RESOURCE_TYPES))
            done = f", {progress_of(current)} of {current['type']}" if current else ""
            self.trouble = f"The search index is being rebuilt: {left} resource types are left{done}."
        if due or work.get("owner"):
            self.news.set()

    async def _install(self, generation: int) -> None:
        rows = await self._database.system[PARAMETERS].find({"state": {"$in": list(WRITTEN)}}).to_list()
        declared: dict[tuple[str, str], str] = {}
        known = self._database.system["declarations"].find({"same": {"$ne": []}})
        async for one in known.sort([("t", -1), ("_id", -1)]):  # the first of several counts
            declared.update({(name, one["code"]): one["definition"]["url"] for name in one["same"]})
        searched = [parameter_of(row) for row in rows if row["state"] != RETIRED]
        retired = [parameter_of(row) for row in rows if row["state"] == RETIRED]
        _put(generation, searched, retired, declared)
        for name in sorted({one.resource_type for one in {*searched, *retired} - self._installed}):
            warm([name])
            await asyncio.sleep(0)
        self._installed = {*searched, *retired}

    # ---- what people ask -----------------------------------------------------------------------------

    async def request(self, types: Iterable[str] = ()) -> None:
        """Ask for every resource of these types (of all, if none are named) to be indexed anew."""
        wanted = list(types) or sorted(RESOURCE_TYPES)

        async def work(session: AsyncClientSession) -> None:
            state = await advance(self._database, session)
            await make_due(self._database, session, wanted, state["generation"])

        await in_transaction(self._database, work)
        await self.refresh()

    async def status(self) -> Document:
        """How the reindex stands (fhir_server/storage/reindex.py); what it calls done, this process searches by."""
        state = await self._database.state.find_one({"_id": REINDEX}) or {"due": {}}
        await self.refresh()
        return state

    async def coverage(self) -> list[Coverage]:
        """What became of every SearchParameter that is declared, for each of its types."""
        return await coverage(self._database)

    # ---- what the flusher asks -----------------------------------------------------------------------

    @property
    def fresh(self) -> bool:
        """Whether what this process writes counts: see Processes."""
        return self.processes.fresh

    async def renew(self) -> None:
        """Be fresh again."""
        while not self.processes.fresh:
            await self.refresh()

    async def declare(self, session: AsyncClientSession, writes: Sequence[Write]) -> None:
        """Within the transaction that writes SearchParameters: what follows from them."""
        changes = [
            Change(write.key, custom.read(write.resource) if write.resource is not None else None, write.stamp)
            for write in writes
        ]
        await settle(self._database, session, changes)


def progress_of(current: Document) -> str:
    """How far the walk over a type is: "500 of 1200 resources"."""
    return f"{current['done']} of {current['total']} resources"


def _put(
    generation: int,
    searched: list[SearchParameter],
    retired: list[SearchParameter],
    declared: Mapping[tuple[str, str], str],
) -> None:
    """Install what compiles; what another version of the server let in and this one cannot is left out."""
    simple = [one for one in searched if one.type != "composite" and custom.compiles(one)]
    retired = [one for one in retired if custom.compiles(one)]
    registry.install(generation, simple, retired=retired, declared=declared)
    composites = [one for one in searched if one.type == "composite" and custom.compiles(one)]
    if composites:
        registry.install(generation, [*simple, *composites], retired=retired, declared=declared)
    if len(simple) + len(composites) < len(searched):
        log.error("search parameters left out", count=len(searched) - len(simple) - len(composites))
