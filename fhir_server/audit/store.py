"""The collections of the trail, in the database of the server's own affairs."""

from __future__ import annotations

from typing import Any

from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import CollectionInvalid, OperationFailure
from pymongo.read_concern import ReadConcern

from fhir_server.storage.database import DURABLE, Database

Document = dict[str, Any]
Collection = AsyncCollection[Document]

_NAMESPACE_EXISTS = 48
_COMPRESSED: Document = {"storageEngine": {"wiredTiger": {"configString": "block_compressor=zstd"}}}
_MAJORITY = ReadConcern("majority")


class Store:
    """Groups, the chains they belong to, and the anchors that sign for the chains' heads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.groups: Collection = database.system["audit"].with_options(write_concern=DURABLE)
        self.chains: Collection = database.system["audit_chain"].with_options(write_concern=DURABLE)
        self.anchors: Collection = database.system["audit_anchor"].with_options(write_concern=DURABLE)
        self.incarnation = database.incarnation

    async def prepare(self) -> None:
        """Create the collections and indexes; safe to run by several processes at once."""
        existing = set(await self._database.system.list_collection_names())
        for name, options in (("audit", _COMPRESSED), ("audit_chain", {}), ("audit_anchor", {})):
            if name in existing:
                continue
            try:
                await self._database.system.create_collection(name, **options)
            except CollectionInvalid:
                pass
            except OperationFailure as error:
                if error.code != _NAMESPACE_EXISTS:
                    raise
        await self.groups.create_index([("k", 1), ("t", -1)], name="key_time")
        await self.groups.create_index([("t", -1), ("_id", -1)], name="time")
        await self.chains.create_index("done", name="done")

    async def last(self, chain: str, *, settled: bool = False) -> Document | None:
        """The last group of a chain; with `settled`, the last that no failure of a database can undo."""
        groups = self.groups.with_options(read_concern=_MAJORITY) if settled else self.groups
        # What only looks like a group was not put there by us, and must not stop us.
        ours = {"$gt": f"{chain}/", "$lt": f"{chain}0", "$regex": "/[0-9]{10}$"}
        return await groups.find_one({"_id": ours}, sort=[("_id", -1)])

    async def durable(self, group: Document) -> bool:
        """Whether this very group is there for good."""
        groups = self.groups.with_options(read_concern=_MAJORITY)
        return await groups.find_one({"_id": group["_id"], "h": group["h"]}, {"_id": 1}) is not None

    async def last_anchor(self) -> Document | None:
        """The latest anchor; None when nothing was ever recorded."""
        anchors = self.anchors.with_options(read_concern=_MAJORITY)
        return await anchors.find_one({}, sort=[("_id", -1)])
