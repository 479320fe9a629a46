"""The count of changes to the resources that define others: what was made of them holds for one generation.

A write of one of these types moves the count in its own transaction, so a process that reads the count knows of every
change that was acknowledged before, whichever process made it.
"""

from __future__ import annotations

from pymongo.asynchronous.client_session import AsyncClientSession

from fhir_server.storage.database import Database

DEFINING = frozenset({"StructureDefinition", "CodeSystem", "ValueSet", "ConceptMap", "ImplementationGuide"})
_ID = "definitions"  # a document of `state`


async def advance(database: Database, session: AsyncClientSession | None = None) -> None:
    """Begin a new generation, within the transaction that changes a definition."""
    await database.state.update_one({"_id": _ID}, {"$inc": {"generation": 1}}, upsert=True, session=session)


async def generation(database: Database) -> int:
    """The present generation; 0 before the first change."""
    found = await database.state.find_one({"_id": _ID})
    return int(found["generation"]) if found is not None else 0
