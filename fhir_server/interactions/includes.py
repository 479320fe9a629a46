"""What comes along with the matches: https://hl7.org/fhir/R4/search.html#include

Every look-up is one of the caller's own, so an include brings nothing that a read would refuse.
"""

from __future__ import annotations

from typing import Any

from fhir_server.context import Context
from fhir_server.outcomes import Issue, TooCostly
from fhir_server.search import include
from fhir_server.search.query import Include, Query
from fhir_server.storage.stored import Stored

Json = dict[str, Any]
MAX_STEPS = 16  # of :iterate


def needed(query: Query) -> bool:
    """Whether the keys of the matches are wanted."""
    return bool(query.includes or query.revincludes)


async def included(ctx: Context, query: Query, rows: list[Stored]) -> tuple[list[Stored], list[Issue]]:
    """What the matches refer to and what refers to them, each once and none that is a match itself.

    With `:iterate` also what those refer to, and so on; at most `max_include` resources, which is said.
    """
    if not rows or not (query.includes or query.revincludes):
        return [], []
    limit = ctx.settings.max_include
    matches = {row.key for row in rows}
    found: dict[str, Stored] = {}
    forward, backward = query.includes, query.revincludes
    level, steps = rows, 0
    while level and len(found) <= limit and (forward or backward):
        if steps == MAX_STEPS:
            note = f"Includes are followed over {MAX_STEPS} steps; there are more."
            return list(found.values()), [Issue("incomplete", note, severity="warning")]
        known = matches | found.keys()
        fresh = await _step(ctx, forward, backward, level, known, limit + 1 - len(found))
        found.update(fresh)
        level, steps = list(fresh.values()), steps + 1
        forward = tuple(one for one in query.includes if one.iterate)
        backward = tuple(one for one in query.revincludes if one.iterate)
    if len(found) <= limit:
        return list(found.values()), []
    note = f"Only {limit} resources are included on a page; there are more."
    return list(found.values())[:limit], [Issue("incomplete", note, severity="warning")]


async def _step(
    ctx: Context,
    forward: tuple[Include, ...],
    backward: tuple[Include, ...],
    rows: list[Stored],
    known: set[str],
    room: int,
) -> dict[str, Stored]:
    """What these rows bring that is not known yet, at most `room`."""
    fresh: dict[str, Stored] = {}
    if forward:
        wanted = include.wanted(forward, rows)
        ids = [one for one in wanted.ids if one not in known]
        # References may dangle, so that the next ones have their room.
        while ids and len(fresh) < room:
            some, ids = ids[:room], ids[room:]
            found: dict[str, Stored] = {}
            await _add(ctx, found, {"_id": {"$in": some}}, len(some), known, action="r")
            fresh.update((one, found[one]) for one in some if one in found)
        if wanted.canonicals:
            await _add(ctx, fresh, include.canonical_filter(wanted.canonicals), room + len(known), known, action="r")
    for filter in include.referring_filters(backward, rows):
        if len(fresh) >= room:
            break
        # What is known already may be among them, so there must be room for that.
        await _add(ctx, fresh, filter, room + len(known) + len(fresh), known)
    return fresh


async def _add(
    ctx: Context, fresh: dict[str, Stored], wanted: Json, limit: int, known: set[str], *, action: str = "s"
) -> None:
    """What a resource names can be included by whoever may read it; what names a resource has to be searched for."""
    found = await ctx.repository.find(ctx.principal, wanted, limit=limit, keys=True, action=action)
    if found.cut:
        raise TooCostly("What is to be included is too large for one page; ask for less with a smaller _count.")
    for stored in found:
        if stored.key not in known:
            fresh.setdefault(stored.key, stored)
