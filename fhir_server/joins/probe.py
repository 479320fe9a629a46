"""Chains whose ends are too many to look up: the search's own rows are judged instead, batch by batch.

`Observation?patient.gender=female` on a server with a million patients: half of all rows fit, so a page is full after
two batches, however many patients there are. docs/decisions/0010-chains.md says when which way is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fhir_server.joins.references import Seeker, numbers, too_many
from fhir_server.search.compile import containing, count_filter
from fhir_server.search.keys import Criterion
from fhir_server.search.memory import matches
from fhir_server.search.query import Chain, Filter, Has, Query
from fhir_server.search.types.reference import names_one
from fhir_server.storage.stored import Stored

_WIDTH = 5_000  # inner rows of one batch


async def fitting(seeker: Seeker, probes: Sequence[Filter], rows: list[Stored]) -> list[Stored]:
    """Those of the rows (with their keys) that fit every probe."""
    for probe in probes:
        if rows:
            wanted = probe.condition
            assert isinstance(wanted, Chain | Has)
            rows = await (_chain if isinstance(wanted, Chain) else _has)(seeker, wanted, rows)
    return rows


async def _chain(seeker: Seeker, wanted: Chain | Has, rows: list[Stored]) -> list[Stored]:
    """Rows that refer to something the inner query finds."""
    ends = {row.key: _ends(wanted, row) for row in rows}
    candidates = sorted(set().union(*ends.values()))
    found = set(await _found(seeker, wanted.query, Criterion(ids=tuple(candidates)))) if candidates else set()
    found |= await _inside(seeker, wanted, rows)
    return [row for row in rows if row.key in found or not found.isdisjoint(ends[row.key])]


async def _inside(seeker: Seeker, wanted: Chain | Has, rows: list[Stored]) -> set[str]:
    """Rows with a contained resource at the end of the reference that the inner query would find."""
    asked = containing(wanted.query, numbers(wanted.routes))["c"]["$elemMatch"]
    fit = [(row, one) for row in rows for one in row.contained or () if matches(asked, one)]
    # A contained resource with its keys is as good as a row.
    ends = [Stored(one["_id"].partition("/")[0], f"{place}", 0, 0, keys=one["k"]) for place, (_, one) in enumerate(fit)]
    return {fit[int(end.id)][0].key for end in await fitting(seeker, wanted.query.probes, ends)}


def _ends(wanted: Chain | Has, row: Stored) -> set[str]:
    found: set[str] = set()
    for route in wanted.routes:
        opening = f"{route.prefix}{route.target}/"
        found.update(key[len(route.prefix) :] for key in row.keys or () if key.startswith(opening))
    return set(filter(names_one, found))


async def _has(seeker: Seeker, wanted: Chain | Has, rows: list[Stored]) -> list[Stored]:
    """Rows that something the inner query finds refers to."""
    asked = {f"{route.prefix}{row.key}": row.key for row in rows for route in wanted.routes if route.target == row.type}
    if not asked:
        return []
    inner = _limited(wanted.query, Criterion(keys=tuple(asked)))
    if wanted.query.probes:
        found = {key for row in await _rows(seeker, inner) for key in row.keys or ()}
    else:
        prefixes = {f"{route.prefix}{route.target}/" for route in wanted.routes}
        found, _ = await seeker.repository.keys(seeker.principal, count_filter(inner), sorted(prefixes))
    fit = {asked[key] for key in found if key in asked}
    return [row for row in rows if row.key in fit]


async def _found(seeker: Seeker, query: Query, candidates: Criterion) -> list[str]:
    """Those of the candidates that the query finds."""
    inner = _limited(query, candidates)
    if query.probes:
        return [row.key for row in await _rows(seeker, inner)]
    return await seeker.repository.ids(seeker.principal, count_filter(inner), limit=len(candidates.ids))


async def _rows(seeker: Seeker, query: Query) -> list[Stored]:
    """What an inner query with probes of its own finds among candidates."""
    found: list[Stored] = []
    read = 0
    async for rows in seeker.repository.keyed(seeker.principal, count_filter(query), size=_WIDTH):
        read += len(rows)
        if read > seeker.limit:
            raise too_many(seeker.limit)
        found += await fitting(seeker, query.probes, rows)
    return found


def _limited(query: Query, candidates: Criterion) -> Query:
    return replace(query, filters=(*query.filters, Filter("", "", candidates)))
