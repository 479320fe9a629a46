"""The collections and their indexes, created before traffic."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from bson.codec_options import CodecOptions
from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import CollectionInvalid, DocumentTooLarge, ExecutionTimeout, OperationFailure
from pymongo.write_concern import WriteConcern

from fhir_server.encryption.keyring import NAME as PATIENT_KEY
from fhir_server.encryption.keyring import Keyring
from fhir_server.outcomes import Timeout, TooCostly

log = structlog.get_logger(__name__)

Document = dict[str, Any]
Collection = AsyncCollection[Document]

_NAMESPACE_EXISTS = 48
_DEFINED_OTHERWISE = (85, 86)  # IndexOptionsConflict, IndexKeySpecsConflict
DURABLE = WriteConcern("majority", j=True)
_WITH_DATE: Document = {"partialFilterExpression": {"s.d": {"$exists": True}}}
_WITH_NAME: Document = {"partialFilterExpression": {"s.n": {"$exists": True}}}
_SEALED: Document = {"partialFilterExpression": {"ek": {"$exists": True}}}
# Named so that a message can say which index is missing; docs/decisions/0004 says which serves what.
INDEXES: dict[str, list[tuple[str, list[tuple[str, int | str]], Document]]] = {
    "resource": [
        ("key_created", [("k", 1), ("t", -1)], {}),
        ("range", [("r.k", 1), ("r.lo", 1), ("r.hi", 1)], {}),
        ("type_updated", [("ty", 1), ("u", -1), ("_id", 1)], {}),
        ("type_date", [("ty", 1), ("s.d", 1), ("_id", 1)], _WITH_DATE),
        ("type_name", [("ty", 1), ("s.n", 1), ("_id", 1)], _WITH_NAME),
        ("presence", [("f", 1), ("t", -1)], {}),
        ("word", [("w", 1), ("t", -1)], {"partialFilterExpression": {"w": {"$exists": True}}}),
        ("place", [("g", "2dsphere")], {}),
        ("contained", [("c.k", 1), ("t", -1)], {"partialFilterExpression": {"c": {"$exists": True}}}),
        ("sealed", [("ek", 1)], _SEALED),
    ],
    "version": [
        ("resource_version", [("r", 1), ("v", -1)], {}),
        ("type_updated", [("ty", 1), ("u", -1), ("_id", -1)], {}),
        ("updated", [("u", -1), ("_id", -1)], {}),
        ("sealed", [("ek", 1)], _SEALED),
    ],
    "guards": [],
}
_CONCEPTS = ("concept", "code_system_load", "closure")  # of large code systems: storage/concepts.py
_CONCEPT_INDEXES: list[tuple[str, list[tuple[str, int]]]] = [
    ("order", [("s", 1), ("n", 1), ("c", 1)]),
    ("key_order", [("s", 1), ("k", 1), ("n", 1), ("c", 1)]),
]
# Those that transactions write, which make no collections of their own.
SYSTEM_COLLECTIONS = (
    "markers",
    "state",
    "declarations",
    "parameters",
    "processes",
    PATIENT_KEY,
    "crypto_erasure",
    *_CONCEPTS,
)


class Database:
    """A client of the database and the collections we keep: resources apart from the server's own affairs."""

    def __init__(self, uri: str, prefix: str, *, incarnation: str | None = None) -> None:
        # The name tells a later process which open transactions a dead one left behind.
        self.incarnation = incarnation or f"fhir-server/{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}"
        self.client: AsyncMongoClient[Document] = AsyncMongoClient(
            uri,
            appname=self.incarnation,
            maxPoolSize=64,
            w="majority",
            journal=True,
            retryWrites=True,
            serverSelectionTimeoutMS=5000,
            connectTimeoutMS=5000,
            tz_aware=True,
        )
        self.prefix = prefix
        self.sees_transactions = True  # False once the database user was refused
        options: CodecOptions[Document] = CodecOptions(tz_aware=True)
        self.fhir: AsyncDatabase[Document] = self.client.get_database(f"{prefix}_fhir", codec_options=options)
        self.system: AsyncDatabase[Document] = self.client.get_database(f"{prefix}_system", codec_options=options)
        self.resource: Collection = self.fhir["resource"]
        self.version: Collection = self.fhir["version"]
        self.guards: Collection = self.fhir["guards"]
        self.markers: Collection = self.system["markers"]
        self.state: Collection = self.system["state"]  # of the search parameters and their reindex
        self.keyring = Keyring(self.system[PATIENT_KEY])

    async def prepare(self) -> None:
        """Create collections and indexes; safe to run by several processes at once."""
        existing = set(await self.fhir.list_collection_names())
        for name, indexes in INDEXES.items():
            if name not in existing:
                await self._create(self.fhir, name, _COMPRESSED if name == "version" else {})
            for index, fields, options in indexes:
                await self._index(name, index, fields, options)
        existing = set(await self.system.list_collection_names())
        for name in SYSTEM_COLLECTIONS:
            if name not in existing:
                await self._create(self.system, name, {})
        for index, keys in _CONCEPT_INDEXES:
            await self.system["concept"].create_index(keys, name=index)
        await self.keyring.prepare()

    async def _index(self, name: str, index: str, fields: list[tuple[str, int | str]], options: Document) -> None:
        """Make the index; one of the same name that an older server defined otherwise is replaced."""
        collection = self.fhir[name]
        try:
            await collection.create_index(fields, name=index, **options)
        except OperationFailure as error:
            if error.code not in _DEFINED_OTHERWISE:
                raise
            log.info("an index is built anew", collection=name, index=index)
            await collection.drop_index(index)
            await collection.create_index(fields, name=index, **options)

    async def _create(self, database: AsyncDatabase[Document], name: str, options: Document) -> None:
        try:
            await database.create_collection(name, **options)
        except CollectionInvalid:
            pass
        except OperationFailure as error:
            if error.code != _NAMESPACE_EXISTS:
                raise

    async def secret(self) -> bytes:
        """32 random bytes that all processes of this database share, made at first use."""
        secrets_ = self.system["secrets"]
        made = {"$setOnInsert": {"value": secrets.token_bytes(32)}}
        await secrets_.update_one({"_id": "cursor"}, made, upsert=True)
        found = await secrets_.find_one({"_id": "cursor"})
        assert found is not None
        return bytes(found["value"])

    async def open_transactions(self) -> list[Document]:
        """The transactions of this and other server processes that are not committed yet, as `$currentOp` tells.

        Empty when the database user may not ask (docs/running.md names the roles).
        """
        pipeline: list[Document] = [
            {"$currentOp": {"allUsers": True, "idleSessions": True, "localOps": True}},
            {"$match": {"transaction": {"$exists": True}, "appName": {"$regex": "^fhir-server/"}}},
        ]
        try:
            async with await self.client.admin.aggregate(pipeline) as operations:
                return await operations.to_list()
        except OperationFailure as error:
            log.warning("open transactions cannot be seen", code=error.code)
            self.sees_transactions = False
            return []

    async def abandon_dead_transactions(self) -> int:
        """End transactions that killed processes of this host left open; answers how many.

        A writer of the same document would otherwise wait until mongod expires them.
        """
        dead: list[Document] = []
        for operation in await self.open_transactions():
            _, host, pid, _ = operation["appName"].split("/", 3)
            if host == socket.gethostname() and not is_alive(int(pid)) and "lsid" in operation:
                dead.append({"id": operation["lsid"]["id"]})
        if dead:
            await self.client.admin.command("killSessions", dead)
        return len(dead)

    async def wait(self, seconds: float = 30.0) -> None:
        """Return once the database answers; raises its last error after `seconds`."""
        async with asyncio.timeout(seconds):
            await self.client.admin.command("ping")

    async def close(self) -> None:
        await self.client.close()


@contextmanager
def in_time() -> Iterator[None]:
    """A query past its time limit is the caller's Timeout (503), one of more than 16 MB is TooCostly (400)."""
    try:
        yield
    except DocumentTooLarge:
        raise TooCostly("The search, with all that its chains find, is too large for one query; narrow it.") from None
    except ExecutionTimeout:
        raise Timeout("The query took longer than it may; narrow it.", headers={"Retry-After": "2"}) from None


_COMPRESSED: Document = {"storageEngine": {"wiredTiger": {"configString": "block_compressor=zstd"}}}


def is_alive(pid: int) -> bool:
    """Whether a process of this machine has this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
