"""Erasure: every trace of a resource taken out of the store in one transaction."""

from __future__ import annotations

import asyncio
from typing import Any

from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.read_concern import ReadConcern

from fhir_server.outcomes import Unavailable
from fhir_server.storage.database import DURABLE, Database
from fhir_server.storage.declarations import OBSERVED, Change, settle
from fhir_server.storage.generation import DEFINING, advance, advance_access

PATIENCE = 30.0  # seconds to go on trying while others write the resource, or the database is away
_SNAPSHOT = ReadConcern("snapshot")


async def erase(database: Database, key: str) -> int:
    """Take out "Type/id" with its keys and all its versions; answers how many versions there were.

    A write of the same resource is either committed before, and erased, or finds nothing here and makes version 1
    anew: both change the one document of `resource`, so the database lets only one of them through at a time.
    Whoever follows the versions that are committed is told by a deletion that the same transaction takes out again.
    Guards name no resources (docs/decisions/0008), so there are none to remove. Raises Unavailable (503).
    """

    async def take_out(session: AsyncClientSession) -> int:
        # The current state first: whoever writes the resource meanwhile meets us there.
        current = await database.resource.find_one_and_delete({"_id": key}, {"v": 1, "u": 1, "t": 1}, session=session)
        if current is not None:
            await database.version.insert_one(_notice(key, current), session=session)
        versions = await database.version.delete_many({"r": key}, session=session)
        if key.startswith(f"{OBSERVED}/"):
            await settle(database, session, [Change(key, None)])
        if key.partition("/")[0] in DEFINING:
            await advance(database, session)
        await advance_access(database, {key.partition("/")[0]}, session)
        return versions.deleted_count if current is None else max(versions.deleted_count - 1, 1)

    try:
        async with asyncio.timeout(PATIENCE), database.client.start_session() as session:
            return await session.with_transaction(take_out, read_concern=_SNAPSHOT, write_concern=DURABLE)
    except TimeoutError:
        raise Unavailable("The resource could not be erased now; look, and try again.") from None


def _notice(key: str, current: dict[str, Any]) -> dict[str, Any]:
    """The deletion that would follow the current state: it is never read, only seen in the change stream.

    Its `_id` is none that a write has: writers meet us at the resource and nowhere else.
    """
    named = {"_id": f"{key}/erased", "r": key, "ty": key.partition("/")[0], "v": current["v"] + 1}
    return {**named, "u": current["u"] + 1, "t": current["t"], "m": "DELETE", "n": "", "d": True}
