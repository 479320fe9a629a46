"""Versions of resources: one, those of an instance, of a type, of everything.

https://hl7.org/fhir/R4/http.html#history
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fhir_server.access import Principal
from fhir_server.access.visibility import visible
from fhir_server.storage.database import Database, in_time
from fhir_server.storage.flusher import Flusher
from fhir_server.storage.stored import Stored, from_document

Document = dict[str, Any]
_STAMPING = 250_000  # microseconds that another process may take from a write's stamp to its transaction
PROJECTION = {"j": 1, "v": 1, "u": 1, "t": 1, "d": 1, "r": 1, "m": 1}


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

    def __init__(self, database: Database, flusher: Flusher, milliseconds: int) -> None:
        self._database = database
        self._flusher = flusher
        self._milliseconds = milliseconds

    async def vread(self, principal: Principal, type_: str, id_: str, version: int) -> Stored | None:
        """One version, a deletion included; None when there is none of that number."""
        visible(principal)
        found = await self._database.version.find_one({"_id": f"{type_}/{id_}/{version}"}, PROJECTION)
        return from_document(found) if found else None

    async def versions(self, principal: Principal, span: Span) -> list[Stored]:
        """Versions of the span, newest first."""
        visible(principal)
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
        return [from_document(document) for document in documents]

    async def count(self, principal: Principal, span: Span) -> int:
        """How many versions an instance, a type or everything has, whatever the times and the page."""
        visible(principal)
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
                started = datetime.fromisoformat(operation["transaction"]["startWallClockTime"])
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
            return [from_document(document) async for document in documents]


def _scope(span: Span) -> Document:
    if span.id is not None:
        return {"r": f"{span.type}/{span.id}"}
    return {"ty": span.type} if span.type else {}


def _after(span: Span) -> Document:
    assert span.after is not None
    updated, key = span.after
    return {"u": {"$lte": updated}, "$or": [{"u": {"$lt": updated}}, {"_id": {"$lt": key}}]}
