"""Patients' keys made anew while servers run: each patient gets the next key, and all of theirs is sealed under it.

A write seals under the newest key from that moment on. What older keys sealed is sealed again in batches, each of them
a transaction. A key under which nothing is left is retired. Whatever ends a run, the next goes on:
the document `key-rotation` of `state` says since when.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from bson.binary import Binary
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pymongo import UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession

from fhir_server.encryption.keyring import Key
from fhir_server.encryption.seal import seal, unseal
from fhir_server.storage.database import Collection, Database
from fhir_server.storage.declarations import in_transaction
from fhir_server.storage.opening import place

Document = dict[str, Any]
BATCH = 50  # documents sealed again at a time
_STATE = "key-rotation"
_SEALED = {"e": 1, "ek": 1, "v": 1, "r": 1}


async def rotate_patients(database: Database, patient: str = "", tell: Callable[[str], None] = lambda _: None) -> int:
    """A new key for the patient ("Patient/1"), or for each that has one; answers how many documents it sealed.

    Raises ValueError, once all others are done, where a text does not open: its patient keeps the old key as well.
    """
    since = await _begun(database, patient)
    wanted: Document = {"c": True, "at": {"$lt": since}, **({"p": patient} if patient else {})}
    patients = [row["p"] async for row in database.keyring.rows.find(wanted, {"p": 1}).sort("_id", 1)]
    for one in patients:
        await _rotate(database, one)
    count, damaged = 0, list[str]()
    async for old in database.keyring.replaced([patient] if patient else None):
        try:
            count += await _seal_again(database, old["_id"], old["p"])
            tell(old["_id"])
        except ValueError as error:
            damaged.append(str(error))
    if damaged:
        raise ValueError(f"{len(damaged)} patients' texts were not sealed anew. {damaged[0]}")
    await database.state.delete_one({"_id": _name(patient)})
    return count


def _name(patient: str) -> str:
    return f"{_STATE}/{patient}" if patient else _STATE


async def _begun(database: Database, patient: str) -> datetime:
    """When the rotation began that is to be finished: keys that are younger are its own."""
    now = {"$setOnInsert": {"since": datetime.now(UTC)}}
    await database.state.update_one({"_id": _name(patient)}, now, upsert=True)
    state = await database.state.find_one({"_id": _name(patient)})
    since: datetime = state["since"] if state is not None else datetime.now(UTC)
    return since


async def _rotate(database: Database, patient: str) -> None:
    async def work(session: AsyncClientSession) -> None:
        await database.keyring.rotate(patient, session)

    await in_transaction(database, work)


async def _seal_again(database: Database, old: str, patient: str) -> int:
    """Bring what the old key sealed under the new one, and retire it."""
    count = 0
    for collection in (database.version, database.resource):
        while True:
            began = monotonic()
            done = await _batch(database, collection, old, patient)
            if not done:
                break
            count += done
            # Who writes about the patient meanwhile meets the batch at the key, and tries again: half of the time
            # is theirs, or one would be refused in the end.
            await asyncio.sleep(monotonic() - began)
    left = [await one.count_documents({"ek": old}, limit=1) for one in (database.version, database.resource)]
    if not any(left):
        await database.keyring.retire(old)
    return count


async def _batch(database: Database, collection: Collection, old: str, patient: str) -> int:
    """How many documents were sealed anew; 0 when the old key has none left, or nobody has it any more.

    One transaction: a key that is destroyed meanwhile meets it at the key in use, so what it sealed is not brought
    under one that is made later.
    """
    done = 0

    async def work(session: AsyncClientSession) -> None:
        nonlocal done
        documents = await collection.find({"ek": old}, _SEALED, session=session).limit(BATCH).to_list()
        keys = await database.keyring.successor(session, old, patient) if documents else None
        if keys is None:
            done = 0
            return
        before, key = keys
        await database.keyring.use(session, {key.id: len(documents)})
        again = [_again(one, before, key) for one in documents]
        await collection.bulk_write(again, ordered=False, session=session)
        done = len(documents)

    await in_transaction(database, work)
    return done


def _again(document: Document, before: AESGCM, key: Key) -> UpdateOne:
    """Sealed under the new key."""
    where = place(document)
    sealed = Binary(seal(key.cipher, where, unseal(before, where, document["e"])))
    return UpdateOne({"_id": document["_id"]}, {"$set": {"e": sealed, "ek": key.id}})
