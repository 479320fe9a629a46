"""The count of changes to the resources that define others: what was made of them holds for one generation.

A write of one of these types moves the count in its own transaction, so a process that reads the count knows of every
change that was acknowledged before, whichever process made it. Counted in the same way: changes to what callers'
rights are made from (smart_auth/changes.py).
"""

from __future__ import annotations

from collections.abc import Collection
from zlib import crc32

from pymongo.asynchronous.client_session import AsyncClientSession

from fhir_server.storage.database import Database

DEFINING = frozenset({"StructureDefinition", "CodeSystem", "ValueSet", "ConceptMap", "ImplementationGuide"})
_ID = "definitions"  # a document of `state`
RIGHTS = frozenset({"Consent", "Person", "Practitioner", "PractitionerRole", "RelatedPerson"})
CARE = frozenset({"CareTeam", "ServiceRequest"})  # who is in whose care
REVOKED = "access"  # a document of `state`, and those of processes: their transactions must not meet in one
SLOTS = tuple(f"access/{number}" for number in range(16))


async def advance(database: Database, session: AsyncClientSession | None = None) -> None:
    """Begin a new generation, within the transaction that changes a definition."""
    await database.state.update_one({"_id": _ID}, {"$inc": {"generation": 1}}, upsert=True, session=session)


async def generation(database: Database) -> int:
    """The present generation; 0 before the first change."""
    found = await database.state.find_one({"_id": _ID})
    return int(found["generation"]) if found is not None else 0


async def advance_access(database: Database, types: Collection[str], session: AsyncClientSession | None = None) -> None:
    """Count a change of callers' rights, within the transaction that writes resources of these types, if it is one."""
    counted = (("rights", RIGHTS), ("consents", {"Consent"}), ("care", CARE))
    moved = {name: 1 for name, of in counted if not of.isdisjoint(types)}
    if moved:
        slot = SLOTS[crc32(database.incarnation.encode()) % len(SLOTS)]
        await database.state.update_one({"_id": slot}, {"$inc": moved}, upsert=True, session=session)


async def advance_revocations(database: Database) -> None:
    """Count what ended a token, or changed a user or client; to be called once that is stored."""
    await database.state.update_one({"_id": REVOKED}, {"$inc": {"rights": 1}}, upsert=True)


async def access_generations(database: Database) -> tuple[int, int, int]:
    """How often rights have changed, in that by Consents, and how often who is in whose care."""
    rights = consents = care = 0
    async for row in database.state.find({"_id": {"$in": [REVOKED, *SLOTS]}}):
        rights += row.get("rights", 0)
        consents += row.get("consents", 0)
        care += row.get("care", 0)
    return rights, consents, care
