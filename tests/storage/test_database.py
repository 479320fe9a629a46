"""Collections and indexes are there before traffic, whoever made them before."""

from __future__ import annotations

import asyncio

from fhir_server.storage.database import INDEXES, Database


async def test_an_index_that_was_defined_otherwise_is_built_anew(mongo_uri: str, database: str) -> None:
    opened = Database(mongo_uri, database)
    try:
        await opened.resource.create_index([("ty", 1), ("s.d", -1)], name="type_date")
        await opened.prepare()
        made = await opened.resource.index_information()
        assert made["type_date"]["key"] == [("ty", 1), ("s.d", 1), ("_id", 1)]
        assert set(made) == {"_id_", *(name for name, *_ in INDEXES["resource"])}
    finally:
        await opened.close()


async def test_several_processes_may_prepare_at_once(mongo_uri: str, database: str) -> None:
    opened = [Database(mongo_uri, f"{database}_several") for _ in range(4)]
    try:
        await asyncio.gather(*(one.prepare() for one in opened))
        assert len(await opened[0].version.index_information()) == 1 + len(INDEXES["version"])
    finally:
        for one in opened:
            await one.close()
