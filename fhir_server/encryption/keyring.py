"""The patients' data keys: 32 random bytes for each patient, in the database only as the master key wrapped them.

A row of `patient_key` is {_id: "Patient/x|2", p: patient, n: number, w: wrapped key, at, u: texts sealed, c: true while
it is the one that seals}. A rotation makes the next number; when nothing is sealed under a row any longer it is
`retired`, and has no `w`. A destroyed row has neither: only its id and when.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from bson.binary import Binary
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pymongo import UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import DuplicateKeyError

from fhir_server.encryption.master import Master
from fhir_server.outcomes import FhirError, Unavailable

log = structlog.get_logger(__name__)

Document = dict[str, Any]
NAME = "patient_key"
CURRENT = [("p", 1)]  # of the index that lets each patient have one current key
_MOST = 2048  # ciphers that are kept
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Key:
    """A patient's key, ready to seal with."""

    id: str  # "Patient/x|2"
    cipher: AESGCM


class Keyring:
    """The rows, and the ciphers made of them.

    Which keys there are is asked each time: only what a wrapped key opens to is remembered, so that a key that was
    destroyed is lost to every process at once.
    """

    def __init__(self, rows: AsyncCollection[Document]) -> None:
        self.rows = rows
        # Makes the master key; told whether it may make the file, when nothing was ever sealed under one.
        self.find_master: Callable[[bool], Master] | None = None
        self._master: Master | None = None
        self._ciphers: OrderedDict[tuple[str, bytes], AESGCM] = OrderedDict()

    async def prepare(self) -> None:
        """One current key for each patient, whatever processes do at the same time."""
        await self.rows.create_index(CURRENT, name="current", unique=True, partialFilterExpression={"c": True})
        await self.rows.create_index([("p", 1), ("n", -1)], name="patient")

    async def check(self) -> None:
        """Raise RuntimeError when there are keys, and the master key opens them not."""
        row = await self.rows.find_one({"w": {"$exists": True}}, sort=[("at", -1)])
        if row is None:
            return
        try:
            await (await self._found()).unwrap(bytes(row["w"]), row["_id"])
        except ValueError as error:
            reason = "The master key (FHIR_MASTER_KEY, FHIR_MASTER_KEY_FILE, or master.key in the data directory)"
            raise RuntimeError(f"{reason} is not what wraps the patients' keys: {error}.") from None

    # ---- sealing and opening -------------------------------------------------------------------------

    async def current(self, patients: Collection[str]) -> dict[str, Key]:
        """The keys that seal for these patients, made where there is none. Raises Unavailable."""
        found = {row["p"]: row async for row in self.rows.find({"p": {"$in": list(patients)}, "c": True})}
        for patient in patients:
            if patient not in found:
                found[patient] = await self._first(patient)
        return {patient: Key(row["_id"], await self._cipher(row)) for patient, row in found.items()}

    async def _first(self, patient: str) -> Document:
        for _ in range(_TRIES):
            last = await self.rows.find_one({"p": patient}, {"n": 1}, sort=[("n", -1)])
            row = await self._new(patient, last["n"] + 1 if last is not None else 1)
            try:
                await self.rows.insert_one(row)
            except DuplicateKeyError:  # somebody else made it at this moment
                if (theirs := await self.rows.find_one({"p": patient, "c": True})) is not None:
                    return theirs
                continue
            return row
        raise Unavailable("The patient's key changes too often.", headers={"Retry-After": "1"})

    async def _new(self, patient: str, number: int) -> Document:
        id_ = f"{patient}|{number}"
        wrapped = await self._wrap(secrets.token_bytes(32), id_)
        return {"_id": id_, "p": patient, "n": number, "w": Binary(wrapped), "at": datetime.now(UTC), "u": 0, "c": True}

    async def use(self, session: AsyncClientSession, seals: Mapping[str, int]) -> bool:
        """Count what the keys of these ids seal in this transaction; False when one is no longer in use.

        It writes the rows: a key that is rotated or destroyed at the same moment meets us there, and one of us loses.
        """
        counts = [UpdateOne({"_id": id_, "c": True}, {"$inc": {"u": number}}) for id_, number in seals.items()]
        done = await self.rows.bulk_write(counts, ordered=False, session=session)
        return done.matched_count == len(counts)

    async def ciphers(self, ids: Collection[str]) -> tuple[dict[str, AESGCM], set[str]]:
        """The ciphers of these keys, and those ids that were retired: what they sealed is under another key by now.

        What is in neither is destroyed. Raises Unavailable, also for a key of which there is no row: that is lost, and
        what it sealed is not to be taken for deleted.
        """
        rows = await self.rows.find({"_id": {"$in": list(ids)}}, {"w": 1, "retired": 1}).to_list()
        if missing := len(set(ids)) - len(rows):
            log.error("keys of patients are missing: bring back the collection that has them", count=missing)
            raise Unavailable("What is sensitive cannot be opened at the moment.", headers={"Retry-After": "30"})
        retired = {row["_id"] for row in rows if "retired" in row}
        return {row["_id"]: await self._cipher(row) for row in rows if "w" in row}, retired

    async def _cipher(self, row: Document) -> AESGCM:
        place = row["_id"], bytes(row["w"])
        known = self._ciphers.get(place)
        if known is not None:
            self._ciphers.move_to_end(place)
            return known
        made = self._ciphers[place] = AESGCM(await self._unwrap(place[1], place[0]))
        if len(self._ciphers) > _MOST:
            self._ciphers.popitem(last=False)
        return made

    # ---- the end of keys -----------------------------------------------------------------------------

    async def destroy(self, patient: str, session: AsyncClientSession) -> list[str]:
        """Take every key of the patient away; answers the ids of those that were there."""
        present = {"p": patient, "w": {"$exists": True}}
        rows = await self.rows.find(present, {"_id": 1}, session=session).sort("n", 1).to_list()
        if rows:  # the retired as well: somebody may still hold what they read under one (`is_any_destroyed`)
            gone: list[Document] = [{"$set": {"destroyed": "$$NOW"}}, {"$unset": ["w", "c", "u", "retired"]}]
            left = {"p": patient, "destroyed": {"$exists": False}}
            await self.rows.update_many(left, gone, session=session)
        return [row["_id"] for row in rows]

    async def is_any_destroyed(self, session: AsyncClientSession, ids: Collection[str]) -> bool:
        """Whether one of these keys is destroyed: what was made from a text under it may not be written."""
        wanted = {"_id": {"$in": list(ids)}, "destroyed": {"$exists": True}}
        return await self.rows.find_one(wanted, {"_id": 1}, session=session) is not None

    async def rotate(self, patient: str, session: AsyncClientSession) -> None:
        """Seal under a new key from now on; the old one still opens what it sealed."""
        last = await self.rows.find_one({"p": patient, "c": True}, {"n": 1}, session=session)
        if last is None:
            return
        await self.rows.update_one({"_id": last["_id"]}, {"$unset": {"c": ""}}, session=session)
        await self.rows.insert_one(await self._new(patient, last["n"] + 1), session=session)

    async def successor(self, session: AsyncClientSession, old: str, patient: str) -> tuple[AESGCM, Key] | None:
        """The cipher of an old key, and the key in use; None where the old one is destroyed. Raises Unavailable."""
        rows = {"$or": [{"_id": old}, {"p": patient, "c": True}], "w": {"$exists": True}}
        found = {"c" in row: row async for row in self.rows.find(rows, session=session)}
        if len(found) < 2:
            return None
        return await self._cipher(found[False]), Key(found[True]["_id"], await self._cipher(found[True]))

    async def retire(self, id_: str) -> None:
        """Forget an old key under which nothing is sealed any longer."""
        old = {"_id": id_, "c": {"$exists": False}, "w": {"$exists": True}}
        await self.rows.update_one(old, [{"$set": {"retired": "$$NOW"}}, {"$unset": ["w", "u"]}])

    def replaced(self, patients: Iterable[str] | None = None) -> AsyncIterator[Document]:
        """The old keys that a rotation has not retired yet, of these patients or of all."""
        wanted: Document = {"c": {"$exists": False}, "w": {"$exists": True}}
        if patients is not None:
            wanted["p"] = {"$in": list(patients)}
        return self.rows.find(wanted, {"p": 1}).sort("_id", 1)

    # ---- the master key ------------------------------------------------------------------------------

    async def rewrap(self) -> int:
        """Wrap under the master key in use what older ones wrapped; answers how many keys."""
        master, count = await self._found(), 0
        async for row in self.rows.find({"w": {"$exists": True}}, {"w": 1}):
            wrapped = bytes(row["w"])
            if not master.is_current(wrapped):
                again = Binary(await self._wrap(await self._unwrap(wrapped, row["_id"]), row["_id"]))
                done = await self.rows.update_one({"_id": row["_id"], "w": row["w"]}, {"$set": {"w": again}})
                count += done.modified_count
        return count

    async def _found(self) -> Master:
        """The master key; the file in the data directory is made before anything is sealed, and never again."""
        if self._master is None:
            if self.find_master is None:
                raise RuntimeError("this process was given no master key")
            used = await self.rows.find_one({}, {"_id": 1}) or await self.rows.database["auth_keys"].find_one({})
            self._master = await asyncio.to_thread(self.find_master, used is None)
        return self._master

    async def _wrap(self, key: bytes, id_: str) -> bytes:
        try:
            return await (await self._found()).wrap(key, id_)
        except RuntimeError as error:
            raise _unavailable(error) from None

    async def _unwrap(self, wrapped: bytes, id_: str) -> bytes:
        try:
            return await (await self._found()).unwrap(wrapped, id_)
        except (RuntimeError, ValueError) as error:
            raise _unavailable(error) from None


def _unavailable(error: Exception) -> FhirError:
    log.error("the master key opens no patient's key", reason=str(error))
    return Unavailable("What is sensitive cannot be opened at the moment.", headers={"Retry-After": "30"})
