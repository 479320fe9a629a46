"""Versions of resources: one, those of an instance, of a type, of everything.

https://hl7.org/fhir/R4/http.html#history
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from fhir_server.access import Principal
from fhir_server.access.compartment import BINARY, context_keys
from fhir_server.access.visibility import condition, is_open_to
from fhir_server.definitions import RESOURCE_TYPES
from fhir_server.encryption.index import reduced
from fhir_server.outcomes import TooCostly
from fhir_server.search.extract import extract
from fhir_server.storage.database import Database, in_time
from fhir_server.storage.flusher import Flusher
from fhir_server.storage.opening import is_any_sealed, open_all
from fhir_server.storage.reader import PROJECTION as CURRENT
from fhir_server.storage.stored import Stored, from_document

Document = dict[str, Any]
Read = Callable[[Principal, str, str, str], Awaitable[Stored | None]]
_MOST_JUDGED = 20_000  # versions looked at for one page
_STAMPING = 250_000  # microseconds that another process may take from a write's stamp to its transaction
PROJECTION = {"j": 1, "v": 1, "u": 1, "t": 1, "d": 1, "r": 1, "m": 1, "e": 1, "ek": 1}


@dataclass(frozen=True, slots=True)
class Span:
    """Which versions: of a type, of an instance, or all; when; and after which one of the page before.

    Times are microseconds. `since` keeps what was updated at or after it; `at` (low, high) keeps what
    was current at some moment of the period. `after` is the (updated, "Type/id/n") of the last one shown.
    """

    type: str | None = None
    id: str | None = None
    since: int | None = None
    at: tuple[int, int] | None = None
    after: tuple[int, str] | None = None
    limit: int = 20


class History:
    """The insert-only `version` collection."""

    def __init__(self, database: Database, flusher: Flusher, milliseconds: int, read: Read) -> None:
        self._database = database
        self._read = read
        self.base_url = ""  # what absolute references to this server begin with
        self._flusher = flusher
        self._milliseconds = milliseconds

    async def vread(self, principal: Principal, type_: str, id_: str, version: int) -> Stored | None:
        """One version, a deletion included; None when there is none of that number."""
        allowed = condition(principal, type_, "r")
        if allowed is None:
            return None
        stored = await self._version(f"{type_}/{id_}", version)
        if stored is None or await self.is_open(principal, stored, "r"):
            return stored
        return None

    async def _version(self, key: str, version: int) -> Stored | None:
        found = await self._database.version.find_one({"_id": f"{key}/{version}"}, PROJECTION)
        return await self._opened_one(found) if found else None

    async def _opened_one(self, document: Document) -> Stored:
        if "ek" in document:
            await open_all(self._database, [document])
        return from_document(document)

    async def _opened(self, documents: list[Document]) -> list[Stored]:
        if is_any_sealed(documents):
            await open_all(self._database, documents)
        return [from_document(document) for document in documents]

    async def is_open(self, principal: Principal, version: Stored, action: str) -> bool:
        """Whether a version may be shown: when what it says is open to the caller, and what the resource says today.

        A deletion is as open as what was deleted: a label or a patient that came later counts for all versions.
        """
        allowed = condition(principal, version.type, action)
        if principal.is_open or allowed is None:
            return principal.is_open
        if not allowed and version.type != BINARY:
            return True
        if version.deleted and not await self.was_open(principal, version, action):
            return False
        if not version.deleted and not await self._content_is_open(principal, version, action):
            return False
        latest = await self._database.resource.find_one({"_id": version.key}, CURRENT)
        if latest is None or latest["v"] == version.version:
            return True
        today = await self._opened_one(latest)
        if today.deleted:
            return await self.was_open(principal, today, action)
        return await self._content_is_open(principal, today, action)

    async def was_open(self, principal: Principal, deletion: Stored, action: str) -> bool:
        """Whether what was deleted was open to the caller."""
        if condition(principal, deletion.type, action) == {} and deletion.type != BINARY:
            return True
        before: Stored | None = deletion
        while before is not None and before.deleted:
            before = await self._version(before.key, before.version - 1)
        return before is not None and await self._content_is_open(principal, before, action)

    async def _content_is_open(self, principal: Principal, version: Stored, action: str) -> bool:
        if version.type == BINARY:
            return await self.binary_is_open(principal, version, action)
        index = extract(version.resource(), base_url=self.base_url).document()
        if version.sealed:  # judged by what can be told of it without its key, as searches do
            index = reduced(version.type, index)
        return is_open_to(principal, action, {"_id": version.key, "ty": version.type, "u": version.updated, **index})

    async def binary_is_open(
        self, principal: Principal, binary: Stored, action: str, context: Stored | None = None
    ) -> bool:
        """A Binary is open when it and its securityContext are, and whose it is follows from that.

        To read it is to read the context, to write or delete it is to change that. `context` is one that is written
        together with it, and open to the principal.

        https://hl7.org/fhir/R4/binary.html#security
        """
        resource = binary.resource()
        keys = list(extract(resource, base_url=self.base_url).document()["k"])
        if reference := resource.get("securityContext", {}).get("reference"):
            type_, _, id_ = reference.removeprefix(f"{self.base_url}/").partition("/_history/")[0].partition("/")
            if type_ == BINARY or type_ not in RESOURCE_TYPES:
                return principal.is_open
            context = context or await self._read(principal, type_, id_, "u" if action in "cud" else "r")
            if context is None or context.deleted:
                return principal.is_open
            keys += context_keys(type_, extract(context.resource(), base_url=self.base_url).document()["k"])
        return is_open_to(principal, action, {"_id": binary.key, "ty": BINARY, "u": binary.updated, "k": keys})

    async def versions(self, principal: Principal, span: Span) -> list[Stored]:
        """Versions of the span that the caller may see, newest first."""
        action = "r" if span.id is not None else "s"
        types = [span.type] if span.type is not None else sorted(RESOURCE_TYPES)
        if all(condition(principal, type_, action) == {} and type_ != BINARY for type_ in types) or principal.is_open:
            return await self._all(span)
        shown: list[Stored] = []
        looked, wanted = 0, span.limit
        while True:
            page = await self._all(span)
            looked += len(page)
            for one in page:
                if await self.is_open(principal, one, action):
                    shown.append(one)
            if len(shown) >= wanted or len(page) < span.limit:
                return shown[:wanted]
            if looked > _MOST_JUDGED:
                raise TooCostly("Too few of the versions are open to the caller; ask by type, by id or by time.")
            last = page[-1]
            span = replace(span, after=(last.updated, f"{last.key}/{last.version}"), limit=min(span.limit * 2, 500))

    async def _all(self, span: Span) -> list[Stored]:
        match = _scope(span)
        if span.at is not None:
            return await self._current_at(match, span)
        times: Document = {}
        if span.since is not None:
            times["$gte"] = span.since
        if (open_since := await self._horizon(span)) is not None:
            times["$lt"] = open_since
        if times:
            match["u"] = times
        query = {"$and": [match, _after(span)]} if span.after else match
        cursor = self._database.version.find(query, PROJECTION).sort([("u", -1), ("_id", -1)])
        with in_time():
            documents = await cursor.limit(span.limit).max_time_ms(self._milliseconds).to_list()
        return await self._opened(documents)

    async def count(self, principal: Principal, span: Span) -> int:
        """How many versions an instance, a type or everything has, whatever the times and the page.

        Only those of an instance are counted for a caller who may not see all: TooCostly (400) otherwise.
        """
        if not principal.is_open and (span.type is None or condition(principal, span.type, "r") != {}):
            if span.id is None:
                raise TooCostly("Versions are counted one resource at a time for callers who may not see all of them.")
            return len(
                await self.versions(principal, replace(span, limit=_MOST_JUDGED, since=None, at=None, after=None))
            )
        return await self._database.version.count_documents(_scope(span), maxTimeMS=self._milliseconds)

    async def _horizon(self, span: Span) -> int | None:
        """The stamp of the oldest write not yet committed: nothing from there on is shown.

        A poller that asks `_since` its last answer would otherwise never see what commits later with
        an earlier stamp.
        """
        if span.id is not None:
            return None
        stamps = [] if self._flusher.oldest_open is None else [self._flusher.oldest_open]
        for operation in await self._database.open_transactions():
            if operation["appName"] != self._database.incarnation:
                # One that has only begun does not say when.
                began = operation["transaction"].get("startWallClockTime")
                started = datetime.fromisoformat(began) if began else datetime.now(UTC)
                stamps.append(int(started.timestamp() * 1_000_000) - _STAMPING)
        return min(stamps, default=None)

    async def _current_at(self, match: Document, span: Span) -> list[Stored]:
        """Those updated within the period, and of each resource the one that was current when it began."""
        assert span.at is not None
        low, high = span.at
        within = {"$match": {**match, "u": {"$gt": low, "$lte": high}}}
        before = [
            {"$match": {**match, "u": {"$lte": low}}},
            {"$sort": {"r": 1, "v": -1}},
            {"$group": {"_id": "$r", "first": {"$first": "$$ROOT"}}},
            {"$replaceRoot": {"newRoot": "$first"}},
            {"$match": {"d": {"$exists": False}}},
        ]
        pipeline: list[Document] = [within, {"$unionWith": {"coll": "version", "pipeline": before}}]
        if span.after:
            pipeline.append({"$match": _after(span)})
        pipeline += [{"$sort": {"u": -1, "_id": -1}}, {"$limit": span.limit}, {"$project": PROJECTION}]
        async with await self._database.version.aggregate(
            pipeline, maxTimeMS=self._milliseconds, allowDiskUse=True
        ) as documents:
            return await self._opened(await documents.to_list())


def _scope(span: Span) -> Document:
    if span.id is not None:
        return {"r": f"{span.type}/{span.id}"}
    return {"ty": span.type} if span.type else {}


def _after(span: Span) -> Document:
    assert span.after is not None
    updated, key = span.after
    return {"u": {"$lte": updated}, "$or": [{"u": {"$lt": updated}}, {"_id": {"$lt": key}}]}
