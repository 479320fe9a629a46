"""A query with look-ups becomes one that `search.compile` understands."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace

from fhir_server.access import Principal
from fhir_server.joins import references, terms
from fhir_server.joins.references import FEW, MAX_FOUND, Seeker, Step
from fhir_server.outcomes import Timeout, TooCostly
from fhir_server.search.keys import Criterion
from fhir_server.search.presence import chosen, limits
from fhir_server.search.query import (
    Both,
    Chain,
    Condition,
    Either,
    Except,
    Filter,
    Has,
    InValueSet,
    Known,
    Listed,
    PartOf,
    Presence,
    Query,
    Subsumed,
)
from fhir_server.storage.repository import Repository

MAX_SETS = 2000  # different sets of parameters of one type, of which an index is still told each


@dataclass(slots=True)
class Joins:
    """The look-ups of one request; `steps` are those made."""

    repository: Repository
    principal: Principal
    base_url: str
    # A Bundle's pending writes may have sets that the database does not know yet.
    presence: bool = True
    few: int = FEW  # what is found of a chain at a glance
    steps: list[Step] = field(default_factory=list)
    deadline: float = math.inf  # of time.monotonic(), for all look-ups together
    _limit: int = MAX_FOUND

    async def resolve(self, query: Query, limit: int = MAX_FOUND) -> Query:
        """The query with every look-up replaced by what it found; TooCostly (400) beyond `limit` at a step."""
        self._limit = limit
        filters = [await self._filter(one, own=query.contained == "false") for one in query.filters]
        return replace(query, filters=tuple(filters))

    async def glance(self, query: Query) -> Query:
        """The same, but chains that find more than a few are left as `probes` of the query."""
        filters: list[Filter] = []
        probes: list[Filter] = []
        for one in query.filters:
            found = await self._light(one) if query.contained == "false" else None
            if found is None:
                filters.append(await self._filter(one, own=query.contained == "false"))
            elif isinstance(found.condition, Chain | Has):
                probes.append(found)
            else:
                filters.append(found)
        return replace(query, filters=tuple(filters), probes=tuple(probes))

    async def _light(self, one: Filter) -> Filter | None:
        """A chain, looked up if its end is among few, or with its inner query glanced at; None for anything else."""
        wanted = one.condition
        if not isinstance(wanted, Chain | Has) or one.negated or any(route.canonical for route in wanted.routes):
            return None
        inner = await self.glance(wanted.query)
        if not inner.probes:
            look = references.chain if isinstance(wanted, Chain) else references.has
            try:
                return replace(one, condition=await look(self._seeker(self.few), wanted, inner))  # type: ignore[arg-type]
            except TooCostly:
                pass
        return replace(one, condition=replace(wanted, query=inner))

    async def _filter(self, one: Filter, *, own: bool) -> Filter:
        if isinstance(one.condition, Criterion) and one.otherwise is None:
            return one
        condition = await self._condition(one.condition, own=own)
        otherwise = None
        if one.otherwise is not None and own and self.presence:
            otherwise = await self._condition(one.otherwise, own=own)
            if _has_presence(otherwise):
                otherwise = None
        return replace(one, condition=condition, otherwise=otherwise)

    async def _condition(self, wanted: Condition, *, own: bool) -> Condition:
        match wanted:
            case Criterion() | Known():
                return wanted
            case Both(parts):
                return Both(tuple([await self._condition(part, own=own) for part in parts]))
            case Either(parts):
                return Either(tuple([await self._condition(part, own=own) for part in parts]))
            case Except(part):
                return Except(await self._condition(part, own=own))
            case Presence():
                return await self._presence(wanted) if own and self.presence else wanted
            case Chain():
                return await references.chain(self._seeker(), wanted, await self.resolve(wanted.query, self._limit))
            case Has():
                return await references.has(self._seeker(), wanted, await self.resolve(wanted.query, self._limit))
            case Listed():
                return await references.listed(self._seeker(), wanted)
            case PartOf():
                return await references.part_of(self._seeker(), wanted)
            case InValueSet():
                return await terms.in_value_set(self._seeker(), wanted)
            case Subsumed():
                return await terms.subsumed(self._seeker(), wanted)

    def seeker(self) -> Seeker:
        """Who looks up for these joins."""
        return self._seeker(MAX_FOUND)

    def _seeker(self, limit: int | None = None) -> Seeker:
        if time.monotonic() > self.deadline:
            raise Timeout("The look-ups of the search took longer than they may; narrow it.")
        most = self._limit if limit is None else limit
        return Seeker(self.repository, self.principal, self.base_url, self.steps, most)

    async def _presence(self, wanted: Presence) -> Condition:
        sets = await self.repository.presence_sets(*limits(wanted.resource_type))
        if len(sets) > MAX_SETS:
            return wanted
        found = chosen(wanted.resource_type, wanted.code, wanted.missing, sets)
        return Known(wanted, found)


def _has_presence(condition: Condition) -> bool:
    if isinstance(condition, Either | Both):
        return any(_has_presence(part) for part in condition.parts)
    return isinstance(condition, Presence)


async def resolved(query: Query, repository: Repository, principal: Principal, base_url: str) -> Query:
    """The query with its look-ups done."""
    return await Joins(repository, principal, base_url).resolve(query)
