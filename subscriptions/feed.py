"""The versions that were committed, in the order of their commits: the change stream of `version`, in batches.

Insertions only, without the JSON text: what a topic needs is fetched by id.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import OperationFailure, PyMongoError

from fhir_server.change import Change, Interaction
from fhir_server.storage.database import Database
from fhir_server.storage.history import PROJECTION
from fhir_server.storage.opening import is_any_sealed, open_all
from fhir_server.storage.stored import from_document

log = structlog.get_logger(__name__)

Json = dict[str, Any]
MOST = 500  # versions in a batch
WAIT = 1.0  # seconds that the database waits for a change before it answers that there is none
# InvalidResumeToken, ChangeStreamFatalError, ChangeStreamHistoryLost, and a token that cannot be read.
_FORGOTTEN = (260, 280, 286, 9, 50811, 50788)
_FIELDS: Json = {
    "clusterTime": 1,
    "r": "$fullDocument.r",
    "ty": "$fullDocument.ty",
    "v": "$fullDocument.v",
    "u": "$fullDocument.u",
    "d": "$fullDocument.d",
    "size": {"$binarySize": {"$ifNull": ["$fullDocument.j", "$fullDocument.e", ""]}},
}
_STORED: Json = {"r": 1, "ty": 1, "v": 1, "u": 1, "d": 1, "size": {"$binarySize": {"$ifNull": ["$j", "$e", ""]}}}


class HistoryLost(Exception):
    """The place in the stream is not known to the database any more."""


@dataclass(frozen=True, slots=True)
class Place:
    """How far the stream was read: its token, and a time before which nothing uncommitted was stamped.

    `at` is in microseconds since 1970; what is committed behind the place was stamped later than that, less the time
    that a transaction may last and clocks may differ.
    """

    token: Json
    at: int

    def fields(self) -> Json:
        """As the state document keeps it."""
        return {"token": self.token, "at": self.at}


@dataclass(frozen=True, slots=True)
class Batch:
    """Versions {_id: token, clusterTime, r, ty, v, u, d, size} in the order of commits; the place behind them."""

    rows: list[Json]
    place: Place


class Feed:
    """One cursor over the stream, from a token on or from now; an async context manager.

    The cursor is asked for whole batches, because the driver's own stream hands out one change at a time and does not
    say whether more have come. Entering raises HistoryLost, and so may `batches`; other errors are PyMongoError: open
    another feed from the last place then.
    """

    def __init__(self, database: Database, token: Json | None) -> None:
        self._database = database
        self._token = token
        self._session: AsyncClientSession | None = None
        self._cursor = 0
        self._first: Batch | None = None

    async def __aenter__(self) -> Feed:
        stage: Json = {"resumeAfter": self._token} if self._token is not None else {}
        pipeline = [{"$changeStream": stage}, {"$match": {"operationType": "insert"}}, {"$project": _FIELDS}]
        self._session = self._database.client.start_session(causal_consistency=False)
        try:
            answer = await self._ask({"aggregate": "version", "pipeline": pipeline, "cursor": {"batchSize": 0}})
        except BaseException:
            await self._session.end_session()
            raise
        self._cursor = answer["cursor"]["id"]
        self._first = _batch(answer, "firstBatch")
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._session is not None
        with suppress(PyMongoError):
            if self._cursor:
                await self._ask({"killCursors": "version", "cursors": [self._cursor]})
        with suppress(PyMongoError):
            await self._session.end_session()

    @property
    def start(self) -> Place:
        """Where it begins: nothing committed later is missed."""
        assert self._first is not None
        return self._first.place

    async def batches(self) -> AsyncIterator[Batch]:
        """What was committed, as it comes; at least once a second a batch, empty when there was nothing."""
        more: Json = {"getMore": self._cursor, "collection": "version", "batchSize": MOST}
        while True:
            answer = await self._ask({**more, "maxTimeMS": int(WAIT * 1000)})
            yield _batch(answer, "nextBatch")
            if not answer["cursor"]["id"]:  # the collection was dropped
                self._cursor = 0
                raise HistoryLost

    async def _ask(self, command: Json) -> Json:
        try:
            async with asyncio.timeout(WAIT + 15):
                return await self._database.fhir.command(command, session=self._session)
        except TimeoutError:
            raise PyMongoError("The database does not answer.") from None
        except OperationFailure as error:
            if error.code in _FORGOTTEN or error.has_error_label("NonResumableChangeStreamError"):
                log.warning("the place in the change stream is lost", code=error.code)
                raise HistoryLost from None
            raise


def _batch(answer: Json, name: str) -> Batch:
    cursor = answer["cursor"]
    rows: list[Json] = cursor[name]
    time = rows[-1]["clusterTime"] if rows else answer["operationTime"]
    return Batch(rows, Place(cursor["postBatchResumeToken"], time.time * 1_000_000))


async def stored_since(database: Database, at: int) -> AsyncIterator[list[Json]]:
    """The rows of all versions stamped at or after `at`, oldest stamp first, as batches without tokens."""
    cursor = database.version.find({"u": {"$gte": at}}, _STORED).sort([("u", 1), ("_id", 1)]).batch_size(MOST)
    try:
        while rows := await cursor.to_list(MOST):
            yield rows
    finally:
        await cursor.close()


async def database_time(database: Database) -> int:
    """The database's logical time in microseconds since 1970, in whole seconds."""
    answer = await database.client.admin.command("ping")
    return int(answer["operationTime"].time) * 1_000_000


async def load(database: Database, rows: Iterable[Json]) -> dict[str, Change]:
    """The changes of these rows {r, v, u}, by "Type/id/n", each with the version before; in one query.

    A version that was erased meanwhile is absent, also when the resource was made again.
    """
    stamps = {f"{row['r']}/{row['v']}": row["u"] for row in rows}
    wanted = {f"{key.rpartition('/')[0]}/{int(key.rpartition('/')[2]) - 1}" for key in stamps} | stamps.keys()
    documents = await database.version.find({"_id": {"$in": list(wanted)}}, PROJECTION).to_list()
    if is_any_sealed(documents):
        await open_all(database, documents)
    found = {document["_id"]: from_document(document) for document in documents}
    changes: dict[str, Change] = {}
    for key, stamp in stamps.items():
        after = found.get(key)
        if after is None or after.updated != stamp:
            continue
        before = found.get(f"{after.key}/{after.version - 1}")
        there = before if before is not None and not before.deleted else None
        interaction: Interaction = "update"
        if after.deleted:
            interaction = "delete"
        elif after.version == 1 or (before is not None and before.deleted):
            interaction = "create"
        changes[key] = Change(after.type, after.id, after.version, interaction, after.updated, after, there)
    return changes
