"""A patient's keys destroyed, and what they sealed cleared away: the storage of $crypto-erase.

The transaction that destroys the keys writes down what is to follow, in `crypto_erasure`: {_id: the last key's id, p:
patient, keys, at, why, by, counts, done}. Nothing can be read from then on; the rest is tidying, and whoever asks
again goes on with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.read_concern import ReadConcern

from fhir_server.outcomes import Unavailable
from fhir_server.storage.database import DURABLE, Database
from fhir_server.storage.stored import Stored, from_document

Document = dict[str, Any]
BATCH = 200  # resources that are deleted together
PATIENCE = 30.0  # seconds to go on trying while the patient's content is written
_SNAPSHOT = ReadConcern("snapshot")


@dataclass(frozen=True, slots=True)
class Erasure:
    """What was destroyed: the keys' ids, and of how many resources of each type there were versions under them."""

    id: str
    patient: str
    keys: tuple[str, ...]
    at: datetime
    why: str
    by: str  # reference or name of who asked
    counts: dict[str, int]
    done: bool


async def destroy(database: Database, patient: str, why: str, by: str) -> Erasure | None:
    """Destroy every key of the patient, durably; answers the last erasure where there is none, None if never.

    Raises Unavailable (503) while others write without end.
    """
    rows = database.system["crypto_erasure"]

    async def work(session: AsyncClientSession) -> None:
        keys = await database.keyring.destroy(patient, session)
        if keys:
            row = {"_id": keys[-1], "p": patient, "keys": keys, "at": datetime.now(UTC), "why": why, "by": by}
            await rows.insert_one(row, session=session)

    try:
        async with asyncio.timeout(PATIENCE), database.client.start_session() as session:
            await session.with_transaction(work, read_concern=_SNAPSHOT, write_concern=DURABLE)
    except TimeoutError:
        raise Unavailable("The keys could not be destroyed now; try again.", headers={"Retry-After": "1"}) from None
    last = await rows.find_one({"p": patient}, sort=[("at", -1)])
    return await _counted(database, last) if last is not None else None


async def unfinished(database: Database, patient: str) -> list[Erasure]:
    """The erasures of the patient that are to be gone on with, the oldest first: the last one, and interrupted ones."""
    rows = database.system["crypto_erasure"].find({"p": patient, "done": {"$exists": False}}).sort("at", 1)
    return [await _counted(database, row) async for row in rows]


async def _counted(database: Database, row: Document) -> Erasure:
    if "counts" not in row:  # nothing more can come under a key that is destroyed
        rows, counts = database.system["crypto_erasure"], await _counts(database, row["keys"])
        await rows.update_one({"_id": row["_id"], "counts": {"$exists": False}}, {"$set": {"counts": counts}})
        found = await rows.find_one({"_id": row["_id"]})
        assert found is not None
        row = found
    keys, counts = tuple(row["keys"]), dict(row["counts"])
    return Erasure(row["_id"], row["p"], keys, row["at"], row["why"], row["by"], counts, "done" in row)


async def _counts(database: Database, keys: Sequence[str]) -> dict[str, int]:
    """How many resources of each type had a version under these keys."""
    pipeline: list[Document] = [
        {"$match": {"ek": {"$in": list(keys)}}},
        {"$group": {"_id": {"ty": "$ty", "r": "$r"}}},
        {"$group": {"_id": "$_id.ty", "n": {"$sum": 1}}},
        {"$sort": {"_id": 1}},
    ]
    async with await database.version.aggregate(pipeline) as rows:
        return {row["_id"]: row["n"] async for row in rows}


async def unreadable(database: Database, erasure: Erasure) -> list[Stored]:
    """The next current resources that nobody can read, to be deleted; none when that is done."""
    wanted = {"ek": {"$in": list(erasure.keys)}}
    documents = await database.resource.find(wanted, {"v": 1, "u": 1, "t": 1}).limit(BATCH).to_list()
    return [replace(from_document(one), deleted=True) for one in documents]  # as everybody reads them


async def strip(database: Database, erasure: Erasure) -> None:
    """Take the ciphertext from the versions: what stays says that there was one, when, and how it was written."""
    gone: Document = {"$set": {"d": True}, "$unset": {"e": "", "ek": ""}}
    await database.version.update_many({"ek": {"$in": list(erasure.keys)}}, gone)


async def finish(database: Database, erasure: Erasure) -> None:
    """Note that all is done and told."""
    await database.system["crypto_erasure"].update_one({"_id": erasure.id}, {"$set": {"done": True}})
