"""Erasure: every trace of a resource taken out of the store in one transaction."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from fhir_server.outcomes import Unavailable
from fhir_server.storage.database import DURABLE, Database

ATTEMPTS = 100
_SNAPSHOT = ReadConcern("snapshot")


async def erase(database: Database, key: str) -> int:
    """Take out "Type/id" with its keys and all its versions; answers how many versions there were.

    A write of the same resource is either committed before, and erased, or finds nothing here and makes version 1
    anew: both change the one document of `resource`, so the database lets only one of them through at a time.
    Guards name no resources (docs/decisions/0008), so there are none to remove.
    """
    for attempt in range(ATTEMPTS):
        async with database.client.start_session() as session:
            try:
                async with await session.start_transaction(read_concern=_SNAPSHOT, write_concern=DURABLE):
                    count = await _take_out(database, session, key)
                return count
            except PyMongoError as error:
                if not error.has_error_label("TransientTransactionError"):
                    raise
        await asyncio.sleep(random.uniform(0, min(0.002 * (attempt + 1), 0.05)))
    raise Unavailable("The resource is written too often.", headers={"Retry-After": "1"})


async def _take_out(database: Database, session: AsyncClientSession, key: str) -> int:
    """The current state first: whoever writes the resource meanwhile meets us there."""
    found: Any = await database.resource.delete_one({"_id": key}, session=session)
    versions = await database.version.delete_many({"r": key}, session=session)
    return int(max(versions.deleted_count, found.deleted_count))
