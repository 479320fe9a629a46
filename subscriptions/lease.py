"""Who leads: one process at a time holds the lease, and only with its epoch can anything be numbered."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from pymongo import ReturnDocument

from fhir_server.storage.database import Collection, Database

Json = dict[str, Any]
SECONDS = 5.0  # for which a lease holds; a leader that was killed is replaced after this
ENGINE = "engine"  # the `_id` in sub_state
_LONG_AGO = datetime.fromtimestamp(0, UTC)


class LeaseLost(Exception):
    """Another process leads: whatever was not committed is its affair now."""


class Lease:
    """The document {epoch, seq, holder, until, token, at}; `until` is of the database's clock.

    Who takes it raises the epoch, so that whatever an earlier leader still sends is refused. `seq` counts what was
    committed under the lease. `place` is how far the stream was read: it goes into the document with every renewal,
    unless something was committed that we do not know of. `writing` is held while the document is written.
    """

    def __init__(self, database: Database, seconds: float = SECONDS) -> None:
        self._database = database
        self.rows: Collection = database.system["sub_state"]
        self.seconds = seconds
        self.epoch = 0  # 0: not ours
        self.seq = 0
        self.place: Json = {}
        self.writing = asyncio.Lock()

    @property
    def fence(self) -> Json:
        """Finds the document while the lease is ours and nothing was committed that we do not know of."""
        return {"_id": ENGINE, "epoch": self.epoch, "seq": self.seq}

    async def take(self) -> Json | None:
        """The document, when the lease was free and is ours now; None when another holds it."""
        free = {"_id": ENGINE, "$expr": {"$lte": ["$until", "$$NOW"]}}
        if await self.rows.find_one({"_id": ENGINE}, {"_id": 1}) is None:
            nobody: Json = {"$setOnInsert": {"epoch": 0, "seq": 0, "until": _LONG_AGO}}
            await self.rows.update_one({"_id": ENGINE}, nobody, upsert=True)
        elif await self.rows.find_one(free, {"_id": 1}) is None:
            return None
        # A leader that was killed may have left its transaction open; it would keep us from the document.
        await self._database.abandon_dead_transactions()
        mine = {"epoch": {"$add": ["$epoch", 1]}, "holder": self._database.incarnation, "until": self._until()}
        taken: Json | None = await self.rows.find_one_and_update(
            free, [{"$set": mine}], return_document=ReturnDocument.AFTER
        )
        if taken is None:
            return None
        self.epoch, self.seq, self.place = int(taken["epoch"]), int(taken["seq"]), {}
        return taken

    async def renew(self) -> None:
        """Hold it for longer. Raises LeaseLost."""
        async with self.writing:
            done = await self.rows.update_one(self.fence, [self._change(self._until())])
            if not done.matched_count:
                raise LeaseLost

    async def give_back(self) -> None:
        """Let another process take it at once; nothing happens when it was lost."""
        async with self.writing:
            if not self.epoch:
                return
            done = await self.rows.update_one(self.fence, [self._change("$$NOW")])
            if not done.matched_count:  # perhaps something was committed whose answer did not reach us
                await self.rows.update_one({"_id": ENGINE, "epoch": self.epoch}, [{"$set": {"until": "$$NOW"}}])
            self.epoch = 0

    def _change(self, until: Any) -> Json:
        return {"$set": {"until": until} | {name: {"$literal": value} for name, value in self.place.items()}}

    def _until(self) -> Json:
        return {"$add": ["$$NOW", int(self.seconds * 1000)]}
