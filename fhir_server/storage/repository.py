"""Every read and write of resources, each with the principal it is for: there is no unfiltered door."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fhir_server.access import Principal
from fhir_server.access.visibility import visible
from fhir_server.storage.clock import Clock
from fhir_server.storage.database import Database, in_time
from fhir_server.storage.flusher import Flusher
from fhir_server.storage.history import History
from fhir_server.storage.reader import PROJECTION, Reader
from fhir_server.storage.stored import Stored, from_document
from fhir_server.storage.unit_of_work import UnitOfWork

Document = dict[str, Any]
SortKeys = Sequence[tuple[str, int]]


class Repository:
    """The resources of one database, as one process reads and writes them."""

    def __init__(self, database: Database, clock: Clock, *, query_seconds: float, max_pending: int) -> None:
        self._database = database
        self._milliseconds = int(query_seconds * 1000)
        self._reader = Reader(self._by_ids)
        self.flusher = Flusher(database, clock, max_pending=max_pending)
        self.history = History(database, self.flusher, self._milliseconds)

    async def _by_ids(self, keys: list[str]) -> list[Document]:
        if len(keys) == 1:
            one = await self._database.resource.find_one({"_id": keys[0]}, PROJECTION)
            return [one] if one else []
        return await self._database.resource.find({"_id": {"$in": keys}}, PROJECTION).to_list()

    # ---- reads -------------------------------------------------------------------------------------

    async def read(self, principal: Principal, type_: str, id_: str) -> Stored | None:
        """The current version, a deletion included (`deleted`); None when there never was one."""
        visible(principal)
        return await self._reader.read(f"{type_}/{id_}")

    async def read_many(self, principal: Principal, keys: Iterable[str]) -> dict[str, Stored]:
        """The current versions of these "Type/id", deletions included; what never was is absent."""
        condition = visible(principal)
        wanted = list(dict.fromkeys(keys))
        found: dict[str, Stored] = {}
        for start in range(0, len(wanted), 1000):
            query = _both({"_id": {"$in": wanted[start : start + 1000]}}, condition)
            async for document in self._database.resource.find(query, PROJECTION):
                found[document["_id"]] = from_document(document)
        return found

    async def find(
        self,
        principal: Principal,
        filter: Mapping[str, Any],
        *,
        sort: SortKeys = (),
        limit: int,
        keys: bool = False,
    ) -> list[Stored]:
        """Up to `limit` current resources that fit the filter and that the principal may see, in `sort` order.

        `keys` also fetches search keys (for includes). Sort values come along whenever `sort` uses them.
        """
        projection: Document = dict(PROJECTION)
        if keys:
            projection["k"] = 1
        for name, _ in sort:
            if name.startswith("s."):
                projection[name] = 1
        cursor = self._database.resource.find(_both(filter, visible(principal)), projection)
        if sort:
            cursor = cursor.sort(list(sort))
        with in_time():
            documents = await cursor.limit(limit).max_time_ms(self._milliseconds).to_list()
        return [stored for stored in map(from_document, documents) if not stored.deleted]

    async def count(self, principal: Principal, filter: Mapping[str, Any], *, limit: int | None = None) -> int:
        """How many resources fit, exactly; counting stops at `limit`."""
        options: dict[str, Any] = {"maxTimeMS": self._milliseconds}
        if limit is not None:
            options["limit"] = limit
        with in_time():
            return await self._database.resource.count_documents(_both(filter, visible(principal)), **options)

    async def estimate(self, principal: Principal, filter: Mapping[str, Any]) -> int:
        """How many resources fit, counted up to a bound: never wrong, only cut off at 10,000."""
        return await self.count(principal, filter, limit=10_000)

    async def counts(self, principal: Principal) -> dict[str, int]:
        """Current resources by type, for the landing page and summaries."""
        match = _both({"d": {"$exists": False}}, visible(principal))
        pipeline = [{"$match": match}, {"$group": {"_id": "$ty", "n": {"$sum": 1}}}]
        async with await self._database.resource.aggregate(pipeline, maxTimeMS=self._milliseconds) as rows:
            return {row["_id"]: row["n"] async for row in rows}

    # ---- conditionals ------------------------------------------------------------------------------

    async def guard(self, id_: str) -> int:
        """The counter of a guard; 0 when it was never used. Read it before the search it protects."""
        return (await self.guards([id_])).get(id_, 0)

    async def guards(self, ids: Iterable[str]) -> dict[str, int]:
        """The counters of these guards; those never used are absent."""
        found = self._database.guards.find({"_id": {"$in": list(ids)}}, {"n": 1})
        return {document["_id"]: document["n"] async for document in found}

    # ---- writes ------------------------------------------------------------------------------------

    async def commit(self, unit: UnitOfWork) -> None:
        """Write everything in the unit, durably, or nothing (raises Lost, Unavailable)."""
        await self.flusher.commit(unit)


def _both(first: Mapping[str, Any], second: Mapping[str, Any]) -> Document:
    if not second:
        return dict(first)
    if not first:
        return dict(second)
    return {"$and": [dict(first), dict(second)]}
