"""The tables of `$closure`: the codes that each has seen, and what was new with each version.

Collection `closure`, with tables of its own for each principal: _id hash of principal and name → version, epoch (of
its beginning), codes [[system, code]]; and for each version _id hash/epoch/version → pairs [[system, below, above]].
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pymongo.asynchronous.client_session import AsyncClientSession

from fhir_server import json
from fhir_server.access import Principal
from fhir_server.storage.database import Collection, Database

Document = dict[str, Any]
Pair = tuple[str, str, str]  # system, code below, code above


@dataclass(frozen=True, slots=True)
class Table:
    """A table as it was read."""

    epoch: str
    version: int
    codes: frozenset[tuple[str, str]]


class Closures:
    """The tables of one caller."""

    def __init__(self, database: Database, principal: Principal) -> None:
        self._database = database
        self._caller = principal.name
        self._rows: Collection = database.system["closure"]

    async def begin(self, name: str) -> None:
        """An empty table of this name, whatever there was."""
        empty: Document = {"version": 0, "epoch": secrets.token_hex(8), "codes": []}
        key = self._key(name)
        await self._rows.replace_one({"_id": key}, empty, upsert=True)
        older = {"_id": {"$gte": f"{key}/", "$lt": f"{key}0"}, "epoch": {"$ne": empty["epoch"]}}
        await self._rows.delete_many(older)

    async def read(self, name: str) -> Table | None:
        found = await self._rows.find_one({"_id": self._key(name)})
        if found is None:
            return None
        return Table(found["epoch"], found["version"], frozenset((system, code) for system, code in found["codes"]))

    async def add(self, name: str, table: Table, codes: Sequence[tuple[str, str]], pairs: Sequence[Pair]) -> bool:
        """Make the next version of the table as it was read; False when somebody else did so first."""

        async def write(session: AsyncClientSession) -> bool:
            state = {"_id": self._key(name), "version": table.version, "epoch": table.epoch}
            change: Document = {"$inc": {"version": 1}, "$push": {"codes": {"$each": [list(one) for one in codes]}}}
            done = await self._rows.update_one(state, change, session=session)
            if not done.matched_count:
                return False
            entry: Document = {
                "_id": self._entry(name, table, table.version + 1),
                "epoch": table.epoch,
                "version": table.version + 1,
                "pairs": [list(one) for one in pairs],
            }
            await self._rows.insert_one(entry, session=session)
            return True

        async with self._database.client.start_session() as session:
            return await session.with_transaction(write)

    async def since(self, name: str, table: Table, version: int) -> list[Pair]:
        """What was new after this version."""
        after, last = self._entry(name, table, version), self._entry(name, table, table.version)
        rows = await self._rows.find({"_id": {"$gt": after, "$lte": last}}).sort("_id", 1).to_list()
        return [(system, below, above) for row in rows for system, below, above in row["pairs"]]

    def _key(self, name: str) -> str:
        return hashlib.sha256(json.encode([self._caller, name])).hexdigest()

    def _entry(self, name: str, table: Table, version: int) -> str:
        return f"{self._key(name)}/{table.epoch}/{version:010d}"
