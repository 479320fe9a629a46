"""Search keys computed anew beside running servers: type by type, resumable, by one process at a time.

The document `reindex` of the collection `state` is all there is to know of it: {due: type → at least this generation of
parameters, owner, until, current: {type, since, last, done, total, failed}, done, total, changed, failed, started,
ended}. A batch is one transaction over its resources and the state, so that a process that lost the lease without
noticing changes nothing. docs/decisions/0011 says why nothing is missed.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from time import perf_counter
from typing import Any, Protocol

import structlog
from pymongo import ReturnDocument, UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession

from fhir_server import json
from fhir_server.encryption.index import reduced
from fhir_server.search.registry import LAYOUT
from fhir_server.storage.database import Database
from fhir_server.storage.declarations import (
    COMPLETE,
    DROPPED,
    INDEXING,
    PARAMETERS,
    REINDEX,
    RETIRED,
    advance,
    in_transaction,
)
from fhir_server.storage.opening import is_any_sealed, open_all
from fhir_server.storage.parameters import Parameters

log = structlog.get_logger(__name__)

Document = dict[str, Any]
BATCH = 250  # resources
BATCH_BYTES = 4 * 1024 * 1024  # of JSON, after which a batch ends
LEASE_SECONDS = 15
SLICE_SECONDS = 0.002  # of computing at a stretch, while requests wait
LOOK_SECONDS = 5.0  # between two looks for work that nobody told of
_SAY_SECONDS = 10.0
INDEX_FIELDS = ("k", "r", "s", "f", "w", "g", "c")  # what extraction writes: fhir_server/search/keys.py
_CONTENT = dict.fromkeys(("j", "e", "ek", "v", "d", *INDEX_FIELDS), 1)


class Index(Protocol):
    """What extraction yields for a resource."""

    def document(self) -> Document:
        """The fields of the stored document."""


class Stolen(Exception):
    """Another process has taken over."""


class Reindexer:
    """Does what is due. `share` of one core's time is used at most; `extract` makes a resource's index."""

    def __init__(
        self, database: Database, parameters: Parameters, extract: Callable[[Document], Index], *, share: float = 0.5
    ) -> None:
        self._database = database
        self._parameters = parameters
        self._extract = extract
        self.share = share
        self._me = database.incarnation
        self._said = 0.0

    async def run(self) -> None:
        """Do what becomes due, for ever."""
        while True:
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._parameters.news.wait()
            except TimeoutError:
                pass
            self._parameters.news.clear()
            try:
                await self.work()
            except Exception as error:
                log.warning("reindex interrupted", exception=type(error).__name__)
                await asyncio.sleep(1)

    async def _status(self) -> Document:
        return await self._database.state.find_one({"_id": REINDEX}) or {"due": {}}

    async def work(self) -> bool:
        """Do all that is due; False when another process is at it, or when only a newer server may."""
        if not await self._anything():
            return True
        if not await self._acquire():
            return False
        try:
            while due := await self._due():
                await self._all_of(due)
        finally:
            await self._release()
        return True

    # ---- whose turn it is ----------------------------------------------------------------------------

    async def _anything(self) -> bool:
        rows = self._database.system[PARAMETERS]
        return bool((await self._status())["due"]) or await rows.find_one({"state": RETIRED}) is not None

    async def _acquire(self) -> bool:
        state = await self._database.state.find_one({"_id": PARAMETERS}) or {}
        if state.get("rebuild", state).get("layout") != LAYOUT:
            return False  # another version of the server rebuilds everything
        free: list[Document] = [
            {"owner": {"$in": [None, self._me]}},
            {"owner": {"$nin": await self._parameters.processes.alive()}},
            {"$expr": {"$lt": ["$until", "$$NOW"]}},
        ]
        found = await self._database.state.find_one_and_update(
            {"_id": REINDEX, "$or": free},
            [{"$set": {"owner": self._me, "until": _LATER}}],
            return_document=ReturnDocument.AFTER,
        )
        if found is not None and found["due"] and (found.get("ended") or not found.get("started")):
            fresh = {"started": "$$NOW", "done": 0, "changed": 0, "failed": 0}
            await self._note([{"$set": fresh}, {"$unset": ["ended", "current"]}])
        return found is not None

    async def _release(self) -> None:
        await self._database.state.update_one(
            {"_id": REINDEX, "owner": self._me}, {"$unset": {"owner": "", "until": ""}}
        )

    async def _note(self, change: list[Document], session: AsyncClientSession | None = None) -> None:
        """Change the state and stay its owner; raises Stolen."""
        stages = [{"$set": {"until": _LATER}}, *change]
        done = await self._database.state.update_one({"_id": REINDEX, "owner": self._me}, stages, session=session)
        if not done.matched_count:
            raise Stolen

    # ---- what is to be done --------------------------------------------------------------------------

    async def _due(self) -> list[str]:
        """The types to walk; what nobody searches by any longer is no longer written from here on."""
        await self._drop_retired()
        return sorted((await self._status())["due"])

    async def _known_to_all(self) -> int:
        """The generation of now, or a later one, once every live process writes by it."""
        await self._parameters.refresh()
        generation, waited = self._parameters.generation, 0.0
        while lagging := await self._parameters.processes.lagging(generation):
            await self._note([])
            await asyncio.sleep(0.2)
            waited += 0.2
            if waited > _SAY_SECONDS:
                log.info("reindex waits for other processes", processes=lagging)
                waited = 0.0
        return generation

    async def _drop_retired(self) -> None:
        rows = self._database.system[PARAMETERS]
        if await rows.find_one({"state": RETIRED}) is None:
            return
        query: Document = {"state": RETIRED, "since": {"$lte": await self._known_to_all()}}

        async def work(session: AsyncClientSession) -> None:
            state = await advance(self._database, session)
            await rows.update_many(query, {"$set": {"state": DROPPED, "since": state["generation"]}}, session=session)

        await in_transaction(self._database, work)
        await self._parameters.refresh()

    async def _all_of(self, due: list[str]) -> None:
        """Walk these types, by what every process knows by now."""
        status = await self._status()
        left = [await self._database.resource.count_documents(_of(name)) for name in due]
        begun = (status.get("current") or {}).get("done", 0)  # counted in both
        await self._note([{"$set": {"total": status.get("done", 0) + sum(left) - begun}}])
        since = await self._known_to_all()
        for name in due:
            if (await self._status())["due"].get(name, 0) > since:
                since = await self._known_to_all()
            await self._walk(name, since)
        await self._parameters.refresh()

    # ---- one type ------------------------------------------------------------------------------------

    async def _walk(self, resource_type: str, since: int) -> None:
        status = await self._status()
        current = status.get("current") or {}
        if current.get("type") != resource_type or current["since"] < status["due"].get(resource_type, 0):
            total = await self._database.resource.count_documents(_of(resource_type))
            current = {"type": resource_type, "since": since, "last": f"{resource_type}/", "done": 0, "failed": 0}
            current["total"] = total
        while documents := await self._read(current):
            updates, failed = await self._updates(documents)
            began = perf_counter()
            current = {
                **current,
                "last": documents[-1]["_id"],
                "done": current["done"] + len(documents),
                "failed": current["failed"] + failed,
            }
            current["total"] = max(current["total"], current["done"])
            await self._write(current, updates, len(documents), failed)
            self._say(current)
            await self._rest(began)
        await self._finish(current)

    async def _read(self, current: Document) -> list[Document]:
        """The next batch; shorter than BATCH when its resources are large."""
        query = {"_id": {"$gt": current["last"], "$lt": f"{current['type']}0"}}
        found: list[Document] = []
        size = 0
        async with self._database.resource.find(query, _CONTENT).sort("_id", 1).limit(BATCH).batch_size(50) as cursor:
            async for document in cursor:
                found.append(document)
                size += len(document.get("j") or document.get("e") or "")
                if size > BATCH_BYTES:
                    break
        if is_any_sealed(found):
            await open_all(self._database, found)
        return found

    async def _updates(self, documents: list[Document]) -> tuple[list[UpdateOne], int]:
        """What is to change, and how many resources could not be indexed."""
        updates: list[UpdateOne] = []
        failed, reason, began = 0, "", perf_counter()
        for document in documents:
            if perf_counter() - began > SLICE_SECONDS:
                await self._rest(began)
                began = perf_counter()
            try:
                update = _update(document, self._extract)
            except Exception as error:
                failed, reason = failed + 1, type(error).__name__
                continue
            if update is not None:
                updates.append(update)
        if failed:
            log.error("resources cannot be indexed", count=failed, exception=reason)
        return updates, failed

    async def _write(self, current: Document, updates: list[UpdateOne], done: int, failed: int) -> None:
        async def work(session: AsyncClientSession) -> None:
            changed = 0
            if updates:
                written = await self._database.resource.bulk_write(updates, ordered=False, session=session)
                changed = written.modified_count
            sums = {"done": done, "changed": changed, "failed": failed}
            added = {name: {"$add": [{"$ifNull": [f"${name}", 0]}, number]} for name, number in sums.items()}
            await self._note([{"$set": {**added, "current": {"$literal": current}}}], session)

        await in_transaction(self._database, work)

    async def _finish(self, current: Document) -> None:
        """Every resource of the type has its keys: what was declared before the walk began is complete."""
        name, since = current["type"], current["since"]
        rows = self._database.system[PARAMETERS]

        async def work(session: AsyncClientSession) -> None:
            state = await self._database.state.find_one({"_id": PARAMETERS}, session=session) or {}
            entries = {"$filter": {"input": {"$objectToArray": "$due"}, "cond": _still_due(name, since)}}
            ended = {"$cond": [{"$eq": ["$due", {}]}, "$$NOW", "$$REMOVE"]}
            stages: list[Document] = [
                {"$set": {"due": {"$arrayToObject": entries}}},
                {"$unset": "current"},
                {"$set": {"ended": ended}},
            ]
            await self._note(stages, session)
            if not current["failed"]:
                whole: Document = {"type": name, "state": INDEXING, "since": {"$lte": since}}
                if (await rows.update_many(whole, {"$set": {"state": COMPLETE}}, session=session)).modified_count:
                    await advance(self._database, session)
            rebuild = state.get("rebuild")
            if rebuild and rebuild["since"] <= since:
                types = [one for one in rebuild["left"] if one != name]
                change: Document = {"$set": {"rebuild.left": types}}
                if not types:
                    change = {"$set": {"layout": rebuild["layout"]}, "$unset": {"rebuild": ""}}
                    log.info("search keys have the layout of this version", layout=rebuild["layout"])
                await self._database.state.update_one({"_id": PARAMETERS}, change, session=session)

        await in_transaction(self._database, work)

    async def _rest(self, began: float) -> None:
        """Leave the core to others after work since `began`, for as long as our share asks."""
        await asyncio.sleep((perf_counter() - began) * (1 / self.share - 1))

    def _say(self, current: Document) -> None:
        if perf_counter() - self._said > _SAY_SECONDS:
            self._said = perf_counter()
            log.info("reindexing", type=current["type"], done=current["done"], total=current["total"])


_LATER = {"$add": ["$$NOW", LEASE_SECONDS * 1000]}


def _of(resource_type: str) -> Document:
    return {"_id": {"$gte": f"{resource_type}/", "$lt": f"{resource_type}0"}}


def _still_due(name: str, since: int) -> Document:
    return {"$or": [{"$ne": ["$$this.k", name]}, {"$gt": ["$$this.v", since]}]}


def _same(stored: Any, fresh: Any) -> bool:
    """Whether an index field says the same: the order of keys is that of the JSON, which was another one once."""
    if stored == fresh:
        return True
    if not (isinstance(stored, list) and isinstance(fresh, list)) or len(stored) != len(fresh):
        return False
    return Counter(map(repr, stored)) == Counter(map(repr, fresh))


def _update(document: Document, extract: Callable[[Document], Index]) -> UpdateOne | None:
    if document.get("d"):
        return None
    resource = json.decode(document["j"])
    fresh = extract(resource).document()
    if "ek" in document:
        fresh = reduced(resource["resourceType"], fresh)
    if all(_same(document.get(name), fresh.get(name)) for name in INDEX_FIELDS):
        return None
    stale = {name: "" for name in INDEX_FIELDS if name in document and name not in fresh}
    change: Document = {"$set": fresh, **({"$unset": stale} if stale else {})}
    # Only while it is still the version we read: a later write brings its own keys.
    return UpdateOne({"_id": document["_id"], "v": document["v"]}, change)
