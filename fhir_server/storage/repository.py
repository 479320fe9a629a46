"""Every read and write of resources, each with the principal it is for: there is no unfiltered door."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from bson import encode
from bson.timestamp import Timestamp
from pymongo.errors import OperationFailure

from fhir_server.access import Principal
from fhir_server.access.compartment import BINARY
from fhir_server.access.visibility import condition, is_open_to, visible
from fhir_server.outcomes import Forbidden, TooCostly, Unavailable
from fhir_server.storage.clock import Clock
from fhir_server.storage.concepts import Concepts
from fhir_server.storage.database import Database, in_time
from fhir_server.storage.erase import erase
from fhir_server.storage.explain import summary
from fhir_server.storage.flusher import Flusher
from fhir_server.storage.generation import CARE, RIGHTS, generation
from fhir_server.storage.history import History
from fhir_server.storage.opening import is_any_sealed, open_all
from fhir_server.storage.parameters import Parameters
from fhir_server.storage.protection import protect, suspects
from fhir_server.storage.reader import JUDGED, PROJECTION, Reader
from fhir_server.storage.stored import Stored, from_document
from fhir_server.storage.turns import Turns
from fhir_server.storage.unit_of_work import UnitOfWork

Document = dict[str, Any]
SortKeys = Sequence[tuple[str, int]]
Moment = tuple[int, int]  # the database's logical time: seconds, and a counter within the second
MAX_EXPLAINED = 2_000_000  # bytes
MAX_BYTES = 33_554_432  # characters of the resources' texts that one search holds at once
_CHUNK = 50  # rows that are fetched before they are measured
_FORGOTTEN = (239, 246)  # SnapshotTooOld, SnapshotUnavailable


class Found(list[Stored]):
    """Resources that were found; `cut` when there are more, whose texts would be too much at once."""

    cut = False
    size = 0  # characters

    def add(self, rows: Iterable[Stored], more: bool) -> None:
        """Take in these rows; `more` says that there may be others behind them."""
        start = len(self)
        self.extend(rows)
        self.size += sum(len(row.text) for row in self[start:])
        self.cut = more and self.size > MAX_BYTES


class Repository:
    """The resources of one database, as one process reads and writes them."""

    def __init__(self, database: Database, clock: Clock, *, query_seconds: float, max_pending: int) -> None:
        self._database = self.database = database
        self._milliseconds = int(query_seconds * 1000)
        self._reader = Reader(self._by_ids)
        self._judging = Reader(self._with_keys)
        self.flusher = Flusher(database, clock, max_pending=max_pending)
        self.turns = Turns()
        self.parameters = Parameters(database)
        self.concepts = Concepts(database, self._milliseconds)
        # Told of committed changes of what callers' rights are made from, before they are answered.
        self.settle: Callable[[Collection[str]], Awaitable[None]] | None = None
        self.history = History(database, self.flusher, self._milliseconds, self.read)

    async def start(self) -> None:
        """Know the search parameters of the database, and follow them until `stop`."""
        await self.parameters.start()
        self.flusher.companion = self.parameters

    async def stop(self) -> None:
        """Decide what was accepted, and write no more."""
        await self.flusher.drain()
        await self.parameters.stop()

    def _searched(
        self,
        principal: Principal,
        filter: Mapping[str, Any],
        types: Sequence[str] | None = None,
        action: str = "s",
    ) -> Document:
        """The filter, and what the principal may see; Unavailable (503) while the keys that it asks for are rebuilt."""
        if self.parameters.trouble:
            raise Unavailable(self.parameters.trouble, headers={"Retry-After": "30"})
        return _both(filter, visible(principal, types, action))

    async def _by_ids(self, keys: list[str], projection: Document = PROJECTION) -> list[Document]:
        if len(keys) == 1:
            one = await self._database.resource.find_one({"_id": keys[0]}, projection)
            found = [one] if one else []
        else:
            found = await self._database.resource.find({"_id": {"$in": keys}}, projection).to_list()
        if is_any_sealed(found):
            await open_all(self._database, found)
        return found

    async def _with_keys(self, keys: list[str]) -> list[Document]:
        return await self._by_ids(keys, JUDGED)

    # ---- reads -------------------------------------------------------------------------------------

    async def read(self, principal: Principal, type_: str, id_: str, action: str = "r") -> Stored | None:
        """The current version, a deletion included (`deleted`); None when there never was one to see.

        `action` is what is to be done with it: what is hidden from the caller is as if it were not there.
        """
        allowed = condition(principal, type_, action)
        if allowed is None:
            return None
        if not allowed and type_ != BINARY:
            return await self._reader.read(f"{type_}/{id_}")
        stored = await self._judging.read(f"{type_}/{id_}")
        return stored if stored is not None and await self._is_open(principal, stored, action) else None

    async def _is_open(self, principal: Principal, stored: Stored, action: str) -> bool:
        """Whether the action is open on it; on a deletion, whether it was on what was deleted."""
        if stored.deleted:
            return await self.history.was_open(principal, stored, action)
        if stored.type == BINARY:
            return await self.history.binary_is_open(principal, stored, action)
        assert stored.envelope is not None
        return is_open_to(principal, action, stored.envelope)

    async def read_many(self, principal: Principal, keys: Iterable[str]) -> dict[str, Stored]:
        """The current versions of these "Type/id", deletions included; what never was, or is hidden, is absent."""
        wanted = list(dict.fromkeys(keys))
        found: dict[str, Stored] = {}
        if not principal.is_open:
            read = await asyncio.gather(*(self.read(principal, *key.split("/", 1)) for key in wanted))
            return {key: stored for key, stored in zip(wanted, read, strict=True) if stored is not None}
        for start in range(0, len(wanted), 1000):
            query = {"_id": {"$in": wanted[start : start + 1000]}}
            documents = await self._database.resource.find(query, PROJECTION).to_list()
            if is_any_sealed(documents):
                await open_all(self._database, documents)
            found.update((document["_id"], from_document(document)) for document in documents)
        return found

    async def find(
        self,
        principal: Principal,
        filter: Mapping[str, Any],
        *,
        sort: SortKeys = (),
        limit: int,
        keys: bool = False,
        contained: bool = False,
        text: bool = True,
        types: Sequence[str] | None = None,
        action: str = "s",
    ) -> Found:
        """Up to `limit` current resources that fit the filter and that the principal may see, in `sort` order.

        Fewer, and `cut`, when their texts are more than MAX_BYTES together; without `text` they come without it.
        `types` are those that the filter itself is limited to, where the caller knows.
        `keys` also fetches search keys (for includes), `contained` those of contained resources. Sort values come
        along whenever `sort` uses them.
        """
        projection: Document = dict(PROJECTION)
        if keys:
            projection["k"] = 1
        if contained:
            projection["c"] = 1
        if not text:
            del projection["j"], projection["e"]
        for name, _ in sort:
            if name.startswith("s."):
                projection[name] = 1
        wanted = self._searched(principal, filter, types, action)
        cursor = self._database.resource.find(wanted, projection)
        if sort:
            cursor = cursor.sort(list(sort))
        cursor = cursor.limit(limit).max_time_ms(self._milliseconds)
        with in_time():
            found, more = Found(), True
            while more and not found.cut:
                documents = await cursor.to_list(_CHUNK)
                more = len(documents) == _CHUNK
                if is_any_sealed(documents):
                    await open_all(self._database, documents)
                found.add((stored for stored in map(from_document, documents) if not stored.deleted), more)
        if found.cut:
            await cursor.close()
        return found

    async def find_at(
        self,
        principal: Principal,
        filter: Mapping[str, Any],
        *,
        sort: SortKeys,
        limit: int,
        keys: bool = False,
        contained: bool = False,
        moment: Moment | None = None,
        still: Mapping[str, Any] | None = None,
        types: Sequence[str] | None = None,
    ) -> tuple[Found, Moment | None]:
        """As `find`, in the order that was true at a moment (None: now, which is answered beside the resources).

        The resources are as they are today: what was deleted since, may no longer be seen, or does not fit `still`
        any more, comes as `deleted`.
        Where the database no longer knows that moment (after some five minutes), the order is today's and the moment
        None.
        """
        projection: Document = {"v": 1, "u": 1, "t": 1, "d": 1, "s": 1}
        if moment is None:  # what is read now is today's
            projection |= {"j": 1, "e": 1, "ek": 1, **({"k": 1} if keys else {}), **({"c": 1} if contained else {})}
        command = _snapshot(self._searched(principal, filter, types), sort, limit, projection, moment)
        command["maxTimeMS"] = self._milliseconds
        try:
            with in_time():
                answer = await self._database.fhir.command(command)
        except OperationFailure as error:
            if error.code not in _FORGOTTEN:
                raise
            found = await self.find(
                principal, filter, sort=sort, limit=limit, keys=keys, contained=contained, types=types
            )
            return found, None
        cursor = answer["cursor"]
        at = (cursor["atClusterTime"].time, cursor["atClusterTime"].inc)
        if cursor["id"]:
            # More than one message holds: the same moment again, places first and contents after.
            await self._database.fhir.command({"killCursors": "resource", "cursors": [cursor["id"]]})
            return await self.find_at(
                principal,
                filter,
                sort=sort,
                limit=limit,
                keys=keys,
                contained=contained,
                moment=at,
                still=still,
                types=types,
            )
        if is_any_sealed(cursor["firstBatch"]):
            await open_all(self._database, cursor["firstBatch"])
        rows = [from_document(document) for document in cursor["firstBatch"] if "d" not in document]
        found = Found()
        if moment is None:
            found.add(rows, False)
            return found, at
        for start in range(0, len(rows), _CHUNK):
            some = rows[start : start + _CHUNK]
            wanted = {"$and": [dict(still or {}), {"_id": {"$in": [row.key for row in some]}}]}
            today = await self.find(principal, wanted, limit=len(some), keys=keys, contained=contained, types=types)
            found.add(_in_their_places(some, {row.key: row for row in today}), start + _CHUNK < len(rows))
            if found.cut:
                break
        return found, at

    async def keyed(self, principal: Principal, filter: Mapping[str, Any], *, size: int) -> AsyncIterator[list[Stored]]:
        """The current resources that fit, with their keys and without their text, up to `size` at a time, unordered."""
        projection = {"v": 1, "u": 1, "d": 1, "k": 1, "c": 1}
        cursor = self._database.resource.find(self._searched(principal, filter), projection, batch_size=size)
        cursor = cursor.max_time_ms(self._milliseconds)
        with in_time():
            while documents := await cursor.to_list(size):
                yield [stored for stored in map(from_document, documents) if not stored.deleted]

    async def ids(
        self, principal: Principal, filter: Mapping[str, Any], *, limit: int, types: Sequence[str] | None = None
    ) -> list[str]:
        """The "Type/id" of up to `limit` current resources that fit, in no order."""
        cursor = self._database.resource.find(self._searched(principal, filter, types), {"_id": 1, "d": 1})
        with in_time():
            found = await cursor.limit(limit).max_time_ms(self._milliseconds).to_list()
        return [document["_id"] for document in found if "d" not in document]

    async def keys(
        self, principal: Principal, filter: Mapping[str, Any], prefixes: Sequence[str], *, limit: int = 0
    ) -> tuple[set[str], bool]:
        """The search keys with one of these prefixes of the current resources that fit, and whether of all of them.

        At most `limit` resources are read, unless it is 0. Read off the driver's raw batches: decoding each document
        would take ten times as long.
        """
        beginnings = b"|".join(re.escape(prefix.encode()) for prefix in prefixes)
        # An array's element is its type, its index, NUL, its length, and then the text up to NUL: no text forges that.
        pattern = re.compile(rb"\x02\d+\x00.{4}((?:" + beginnings + rb")[^\x00]*)\x00", re.DOTALL)
        found: set[bytes] = set()
        wanted = self._searched(principal, filter)
        cursor = self._database.resource.find_raw_batches(
            wanted, {"_id": 0, "k": 1}, limit=limit, max_time_ms=self._milliseconds
        )
        rows = 0
        with in_time():
            async for batch in cursor:
                found.update(pattern.findall(batch))  # type: ignore[call-overload]
                rows += _documents(batch)  # type: ignore[arg-type]
        return {key.decode() for key in found}, not limit or rows < limit

    async def presence_sets(self, first: str, last: str) -> list[str]:
        """The sets of parameters that resources have, from the first up to, not including, the last.

        They say which elements are in use, of nobody in particular; the index jumps from each to the next.
        """
        with in_time():
            within = {"f": {"$gte": first, "$lt": last}}
            found = await self._database.resource.distinct("f", within, maxTimeMS=self._milliseconds)
        return [str(one) for one in found]

    async def explain(self, principal: Principal, filter: Mapping[str, Any], *, sort: SortKeys, limit: int) -> Document:
        """How the database answers such a find: indexes, stages, keysExamined, documentsExamined, returned, ms.

        TooCostly (400) for a filter of more than MAX_EXPLAINED bytes, which the explanation repeats several times.
        """
        if not principal.is_administrator:
            raise Forbidden("How the database answers is told to administrators only.")
        if len(encode(dict(filter))) > MAX_EXPLAINED:
            raise TooCostly("What the search has looked up is too much to explain it.")
        find: Document = {"find": "resource", "filter": self._searched(principal, filter), "limit": limit}
        if sort:
            find["sort"] = dict(sort)
        find["maxTimeMS"] = self._milliseconds
        with in_time():
            answer = await self._database.fhir.command({"explain": find, "verbosity": "executionStats"})
        return summary(answer)

    async def count(
        self,
        principal: Principal,
        filter: Mapping[str, Any],
        *,
        limit: int | None = None,
        types: Sequence[str] | None = None,
    ) -> int:
        """How many resources fit, exactly; counting stops at `limit`."""
        options: dict[str, Any] = {"maxTimeMS": self._milliseconds}
        if limit is not None:
            options["limit"] = limit
        with in_time():
            return await self._database.resource.count_documents(self._searched(principal, filter, types), **options)

    async def estimate(
        self, principal: Principal, filter: Mapping[str, Any], types: Sequence[str] | None = None
    ) -> int:
        """How many resources fit, counted up to a bound: never wrong, only cut off at 10,000."""
        return await self.count(principal, filter, limit=10_000, types=types)

    async def counts(self, principal: Principal) -> dict[str, int]:
        """Current resources by type, for the landing page and summaries."""
        match = _both({"d": {"$exists": False}}, visible(principal))
        pipeline = [{"$match": match}, {"$group": {"_id": "$ty", "n": {"$sum": 1}}}]
        async with await self._database.resource.aggregate(pipeline, maxTimeMS=self._milliseconds) as rows:
            return {row["_id"]: row["n"] async for row in rows}

    async def aggregate(
        self, principal: Principal, filter: Mapping[str, Any], stages: Sequence[Mapping[str, Any]]
    ) -> list[Document]:
        """What these pipeline stages make of the resources that fit the filter and that the principal may see."""
        pipeline = [{"$match": self._searched(principal, filter)}, *stages]
        with in_time():
            async with await self._database.resource.aggregate(pipeline, maxTimeMS=self._milliseconds) as rows:
                return await rows.to_list()

    # ---- conditionals ------------------------------------------------------------------------------

    async def definitions_generation(self) -> int:
        """The count of changes to the resources that define others, by all processes (storage/generation.py)."""
        return await generation(self._database)

    async def guard(self, id_: str) -> int:
        """The counter of a guard; 0 when it was never used. Read it before the search it protects."""
        return (await self.guards([id_])).get(id_, 0)

    async def guards(self, ids: Iterable[str]) -> dict[str, int]:
        """The counters of these guards; those never used are absent."""
        found = self._database.guards.find({"_id": {"$in": list(ids)}}, {"n": 1})
        return {document["_id"]: document["n"] async for document in found}

    # ---- writes ------------------------------------------------------------------------------------

    async def commit(self, unit: UnitOfWork) -> None:
        """Write everything in the unit, durably, or nothing (raises Lost, Unavailable, and Unprocessable where
        something sensitive cannot be sealed).
        """
        if found := suspects(unit):
            await protect(unit, found, self._reader.read, self.history.base_url)
        await self.flusher.commit(unit)
        if self.settle is not None and (changed := _bearing_on_rights(unit)):
            await self.settle(changed)

    async def erase(self, principal: Principal, type_: str, id_: str) -> int:
        """Take every version of a resource out for good; answers how many went, 0 when there never was one."""
        if not principal.is_administrator:
            raise Forbidden("Only administrators erase.")
        count = await erase(self._database, f"{type_}/{id_}")
        if type_ == self.parameters.observed:
            await self.parameters.refresh()
        if self.settle is not None and type_ in RIGHTS | CARE:
            await self.settle({type_})
        return count


def _bearing_on_rights(unit: UnitOfWork) -> set[str]:
    """The types written from which callers' rights are made.

    A Practitioner that is new takes no rights away, so nobody needs to wait until every process knows of one.
    """
    found: set[str] = set()
    for write in unit.writes.values():
        if write.type in RIGHTS:
            found.add(write.type if write.base is not None or write.type == "Consent" else "CareTeam")
        elif write.type in CARE:
            found.add(write.type)
    return found


def _snapshot(filter: Document, sort: SortKeys, limit: int, projection: Document, moment: Moment | None) -> Document:
    """The command for a find at a moment, or now; the driver's own sessions take no moment of ours."""
    concern: Document = {"level": "snapshot"}
    if moment is not None:
        concern["atClusterTime"] = Timestamp(*moment)
    return {
        "find": "resource",
        "filter": filter,
        "sort": dict(sort),
        "projection": projection,
        "limit": limit,
        "batchSize": limit,
        "singleBatch": moment is not None,
        "readConcern": concern,
    }


def _in_their_places(rows: Iterable[Stored], today: Mapping[str, Stored]) -> Iterator[Stored]:
    """The rows of a moment with today's content; what is no more comes as `deleted`."""
    for row in rows:
        now = today.get(row.key)
        if now is None:
            row.deleted = True
            yield row
            continue
        now.sort, now.updated_then, now.created = row.sort, row.updated, row.created
        yield now


def _documents(batch: bytes) -> int:
    """How many BSON documents stand in a row: each begins with its length."""
    count = position = 0
    while position < len(batch):
        position += int.from_bytes(batch[position : position + 4], "little")
        count += 1
    return count


def _both(first: Mapping[str, Any], second: Mapping[str, Any]) -> Document:
    if not second:
        return dict(first)
    if not first:
        return dict(second)
    return {"$and": [dict(first), dict(second)]}
