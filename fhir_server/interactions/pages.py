"""The rows of a page: in an order that lasts while others write, and through chains that find very many.

https://hl7.org/fhir/R4/http.html#paging
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from fhir_server.context import Context
from fhir_server.interactions import includes
from fhir_server.joins import Joins
from fhir_server.joins.probe import fitting
from fhir_server.joins.references import MANY, MAX_FOUND
from fhir_server.outcomes import Issue, Timeout, TooCostly
from fhir_server.search import compile as compiler
from fhir_server.search import keyset
from fhir_server.search.compile import Find
from fhir_server.search.cursor import Position
from fhir_server.search.query import Chain, Filter, Has, Query
from fhir_server.storage.repository import Moment
from fhir_server.storage.stored import Stored

_BATCHES = 4  # judged before it is tried to look up all ends of a chain after all
_LARGEST = 2_000  # rows of a batch


@dataclass(slots=True)
class Rows:
    """One row more than the page (so that it is known whether there is another), in the order that was read.

    `moment` is that whose order it is, where the order can change.
    """

    rows: list[Stored]
    cut: bool = False  # they are so large that there are fewer than asked for
    moment: Moment | None = None
    notes: tuple[Issue, ...] = ()


async def rows(ctx: Context, joins: Joins, query: Query, asked: Query, at: Position | None) -> Rows:
    """The rows of the page at this position; `asked` is the query as `joins` left it at a glance."""
    moment = at.moment if at is not None else None
    if any(_nested(probe) for probe in asked.probes) and (exact := await _resolved(joins, query, MANY)) is not None:
        asked = exact
    if asked.probes:
        found = await _judged(ctx, joins, query, asked, at)
    else:
        find = compiler.compile(asked)
        wanted = keyset.page(find, at) if at is not None else find
        found = await _read(ctx, query, wanted, query.count + 1, moment, keys=includes.needed(query))
    if at is not None and moment is not None and found.moment is None:
        note = "The first page's order is no longer known: what was changed meanwhile may be missing, or come twice."
        found.notes = (Issue("incomplete", note, severity="warning"),)
    return found


async def _read(ctx: Context, query: Query, find: Find, limit: int, moment: Moment | None, *, keys: bool) -> Rows:
    # Chains lead into contained resources, too.
    contained = keys or query.contained != "false"
    repository, sort = ctx.repository, list(find.sort)
    if find.lasting:
        found = await repository.find(
            ctx.principal, find.filter, sort=sort, limit=limit, keys=keys, contained=contained, types=query.stored_types
        )
        return Rows(found, found.cut)
    found, at = await repository.find_at(
        ctx.principal,
        find.filter,
        sort=sort,
        limit=limit,
        keys=keys,
        contained=contained,
        moment=moment,
        still=find.whole,
        types=query.stored_types,
    )
    return Rows(found, found.cut, at)


async def _judged(ctx: Context, joins: Joins, query: Query, asked: Query, at: Position | None) -> Rows:
    """Rows of the search without its probes, as many as are needed for a page of those that fit them."""
    find, limit = compiler.compile(asked), query.count + 1
    moment = at.moment if at is not None else None
    deadline = time.monotonic() + ctx.settings.query_seconds
    found: list[Stored] = []
    size, batches, place = limit if any(map(_nested, asked.probes)) else max(2 * limit, 60), 0, at
    while True:
        wanted = keyset.page(find, place) if place is not None else find
        batch = await _read(ctx, query, wanted, size, moment, keys=True)
        moment = batch.moment
        found += await fitting(joins.seeker(), asked.probes, [row for row in batch.rows if not row.deleted])
        batches += 1
        if len(found) >= limit or (len(batch.rows) < size and not batch.cut):
            return Rows(found[:limit], moment=moment)
        if batches == _BATCHES and (exact := await _resolved(joins, query, MAX_FOUND)) is not None:
            return await rows(ctx, joins, query, exact, at)
        if time.monotonic() > deadline:
            raise Timeout("The query took longer than it may; narrow it.", headers={"Retry-After": "2"})
        forward = at is None or at.forward
        read = batch.rows if forward else batch.rows[::-1]
        place = keyset.position(find, read, forward=forward, at=place)
        size = min(size * 2, _LARGEST)


def _nested(probe: Filter) -> bool:
    """Whether each row of the search leads to rows that have to be judged in their turn."""
    return isinstance(probe.condition, Chain | Has) and bool(probe.condition.query.probes)


async def _resolved(joins: Joins, query: Query, limit: int) -> Query | None:
    """The query with every end looked up, where they are no more: better than to walk on for a few rare rows."""
    try:
        return await joins.resolve(query, limit)
    except TooCostly:
        return None
