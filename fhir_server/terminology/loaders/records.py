"""Which large code systems are loaded: https://hl7.org/fhir/R4/codesystem.html"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pymongo.asynchronous.client_session import AsyncClientSession

from fhir_server.storage.concept_load import sweep
from fhir_server.storage.database import Database
from fhir_server.storage.generation import advance


@dataclass(frozen=True, slots=True)
class Record:
    """One load: `key` is the "CodeSystem/id" beside it; `source` tells which files it was made from."""

    number: int
    key: str
    url: str
    version: str
    ready: bool
    count: int
    started: datetime
    source: str


async def records(database: Database, url: str = "", version: str | None = None) -> list[Record]:
    """The loads, of this code system and version where they are given, that are complete or can be gone on with."""
    wanted: dict[str, object] = {"state": {"$in": ["ready", "loading"]}}
    if url:
        wanted["url"] = url
    if version is not None:
        wanted["version"] = version
    found = (
        await database.system["code_system_load"].find(wanted).sort([("url", 1), ("version", 1), ("_id", 1)]).to_list()
    )
    return [
        Record(
            one["_id"],
            one["r"],
            one["url"],
            one["version"],
            one["state"] == "ready",
            one.get("count", 0),
            one["started"],
            one.get("progress", {}).get("source", ""),
        )
        for one in found
    ]


async def remove(database: Database, record: Record) -> None:
    """Remove a load: at once from everyone's sight, then its rows."""

    async def hide(session: AsyncClientSession) -> None:
        made = {"$set": {"state": "replaced"}}
        await database.system["code_system_load"].update_one({"_id": record.number}, made, session=session)
        await advance(database, session)

    async with database.client.start_session() as session:
        await session.with_transaction(hide)
    await sweep(database)
