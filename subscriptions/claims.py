"""Which process delivers which subscription: leases on the documents of sub_active, by the database's clock.

Fields of ours there: `holder` and `until` (the lease), `sent` (the last number that arrived), `attempts` and `failing`
(how often in vain, and since when), `tried` (the version that was), `due` (the next attempt; the engine sets it to now
where there is none), `next` (when to look without an event), `beat` (the last notification), `shaken` (the version
whose handshake arrived). Times are microseconds since 1970.
"""

from __future__ import annotations

from collections.abc import Collection as Several
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from pymongo import ReturnDocument

from fhir_server.storage.database import Collection, Database
from fhir_server.storage.processes import has_ended
from subscriptions.subscriber import whose

Json = dict[str, Any]

SECONDS = 10.0  # for which a lease holds: what a killed process of another machine had is delivered after this
_MICROS: Json = {"$multiply": [{"$toLong": "$$NOW"}, 1000]}
_FREE: Json = {"$lte": ["$until", "$$NOW"]}  # where there is none, it is less than anything
_MAY: Json = {"$or": [{"$lte": ["$due", _MICROS]}, {"$eq": ["$status", "requested"]}, {"$not": ["$attempts"]}]}
_UNSENT: Json = {"$gt": ["$count", {"$ifNull": ["$sent", 0]}]}
_MOST = 1000  # ids of one look


class Claims:
    """The leases of one process, under its name `holder`."""

    def __init__(self, database: Database, holder: str, seconds: float = SECONDS) -> None:
        self._rows: Collection = database.system["sub_active"]
        self.holder = holder
        self.seconds = seconds
        self._until: Json = {"$add": ["$$NOW", int(seconds * 1000)]}

    async def free(self) -> None:
        """Give back what processes of this machine had that have ended, so that nobody waits for their leases."""
        for holder in await self._rows.distinct("holder"):
            incarnation = holder.rpartition("/")[0]
            if incarnation and has_ended(incarnation):
                await self._rows.update_many({"holder": holder}, {"$unset": {"holder": "", "until": ""}})

    async def channels(self, ids: Sequence[str]) -> dict[str, str]:
        """The channels of these subscriptions."""
        found = self._rows.find({"_id": {"$in": list(ids)}}, {"channel": 1})
        return {row["_id"]: row.get("channel", "") async for row in found}

    async def owners(self, ids: Sequence[str]) -> dict[str, str]:
        """Whose these subscriptions are, "" where nobody is known."""
        found = self._rows.find({"_id": {"$in": list(ids)}}, {"owner.user": 1, "owner.client": 1})
        return {row["_id"]: whose(row.get("owner") or {}) async for row in found}

    async def prepare(self) -> None:
        """Have the index by which they are found."""
        await self._rows.create_index([("next", 1)], name="next", sparse=True)

    async def due(self, channels: Several[str], now: int) -> list[str]:
        """What is due by its own account."""
        which: list[Json] = [{"channel": {"$in": list(channels)}, "due": {"$lte": now}}, {"next": {"$lte": now}}]
        return await self._ids({"$or": which, "status": {"$ne": "off"}, "$expr": _FREE})

    async def forgotten(self, channels: Several[str], now: int) -> list[str]:
        """What has something to be done, whatever is due; every entry is looked at, so ask seldom."""
        unsent: Json = {"channel": {"$in": list(channels)}, "$expr": _UNSENT}
        recovered = {"channel": {"$in": list(channels)}, "status": "error", "attempts": {"$exists": False}}
        which = [unsent, recovered, {"status": "requested"}, {"end": {"$gt": 0, "$lte": now}}]
        return await self._ids({"status": {"$ne": "off"}, "$or": which, "$expr": {"$and": [_FREE, _MAY]}})

    async def _ids(self, query: Json) -> list[str]:
        return [row["_id"] async for row in self._rows.find(query, {"_id": 1}).limit(_MOST)]

    async def take(self, id_: str) -> Json | None:
        """The document, ours for as long as the lease holds; None when another has it, or there is nothing."""
        return await self._rows.find_one_and_update(
            {"_id": id_, "status": {"$ne": "off"}, "$expr": _FREE},
            [{"$set": {"holder": self.holder, "until": self._until}}],
            return_document=ReturnDocument.AFTER,
        )

    async def renew(self, ids: Several[str]) -> None:
        """Hold these for longer, those that are still ours."""
        ours = {"_id": {"$in": list(ids)}, "holder": self.holder}
        await self._rows.update_many(ours, [{"$set": {"until": self._until}}])

    async def note(self, row: Json, changes: Json, forget: Sequence[str] = ()) -> Json | None:
        """Write these fields, forget others, and hold it for longer; None when it is not ours any more."""
        stages: list[Json] = [
            {"$set": {"until": self._until, **{name: {"$literal": v} for name, v in changes.items()}}}
        ]
        if forget:
            stages.append({"$unset": list(forget)})
        return await self._rows.find_one_and_update(
            {"_id": row["_id"], "holder": self.holder}, stages, return_document=ReturnDocument.AFTER
        )

    async def rest(self, row: Json, *, due: int = 0, later: int = 0) -> bool:
        """Let go until the next attempt, or until then, or until something happens (0).

        False when something has happened meanwhile.
        """
        same = {"_id": row["_id"], "holder": self.holder, "count": row.get("count"), "version": row.get("version")}
        wanted = {"due": due, "next": later}
        change: Json = {"$unset": dict.fromkeys(("holder", "until", *(n for n in wanted if not wanted[n])), "")}
        if kept := {name: at for name, at in wanted.items() if at}:
            change["$set"] = kept
        return bool((await self._rows.update_one(same, change)).matched_count)

    async def give_back(self, id_: str) -> None:
        """Let another process take it at once."""
        ours = {"_id": id_, "holder": self.holder}
        await self._rows.update_one(ours, {"$unset": {"holder": "", "until": ""}})

    def moment(self, row: Json) -> int:
        """The database's time when we took the document, or wrote it last."""
        until: datetime = row["until"]
        return int((until - timedelta(seconds=self.seconds)).timestamp() * 1_000_000)
