"""Numbers that people say on the telephone: each given once, in order. One that was given and not used is missing."""

from __future__ import annotations

from pymongo import ReturnDocument

from fhir_server.context import Context


async def following(ctx: Context, series: str) -> int:
    """The next number of a series ("CASE-2026"), from 1, whoever else asks at the same moment.

    It is taken at once, and not given back when what it is for is refused.
    """
    counters = ctx.repository.database.system["counter"]
    one = await counters.find_one_and_update(
        {"_id": series}, {"$inc": {"n": 1}}, upsert=True, return_document=ReturnDocument.AFTER
    )
    assert one is not None  # it is there by now
    return int(one["n"])
