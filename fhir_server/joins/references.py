"""Chains, `_has`, `_list` and hierarchies: what refers to what, from the keys and not from the resources.

https://hl7.org/fhir/R4/search.html#chaining · https://hl7.org/fhir/R4/search.html#has
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fhir_server.access import Principal
from fhir_server.outcomes import FhirError, TooCostly
from fhir_server.search.canonical import url_number
from fhir_server.search.compile import containing, count_filter
from fhir_server.search.criteria import parents
from fhir_server.search.keys import Criterion
from fhir_server.search.query import Chain, Has, Listed, PartOf, Query, Route
from fhir_server.search.types.reference import names_one
from fhir_server.storage.repository import Repository

MAX_FOUND = 100_000  # resources at one step of a chain
FEW = 1_000  # resources that are looked up without a second thought: some 8 ms
MANY = 10_000  # what is looked up where rows cannot be judged cheaply, some 60 ms
_STEPS = 64  # levels of a hierarchy


@dataclass(frozen=True, slots=True)
class Step:
    """One look-up that was made: in words, and as the database was asked."""

    what: str
    filter: dict[str, Any]
    limit: int


@dataclass(frozen=True, slots=True)
class Seeker:
    """Who looks up, and where."""

    repository: Repository
    principal: Principal
    base_url: str
    steps: list[Step]
    limit: int = MAX_FOUND

    async def ids(self, query: Query) -> list[str]:
        """The "Type/id" of all that the query finds; TooCostly (400) when they are too many."""
        filter = count_filter(query)
        self.steps.append(Step(query.canonical().partition(">")[2], filter, self.limit + 1))
        found = await self.repository.ids(self.principal, filter, limit=self.limit + 1, types=query.stored_types)
        return self.few(found)

    async def ends(self, filter: dict[str, Any], prefixes: Iterable[str]) -> list[str]:
        """What follows any of these prefixes in the keys of what fits the filter, each once, with the prefix."""
        # Where few are wanted, so many are read at most; else as many as the time for a query allows.
        rows = self.limit + 1 if self.limit < MAX_FOUND else 0
        self.steps.append(Step("references", filter, rows))
        found, whole = await self.repository.keys(self.principal, filter, list(prefixes), limit=rows)
        if not whole:
            raise too_many(self.limit)
        return self.few(sorted(found))

    def few(self, found: list[str]) -> list[str]:
        """These, unless they are too many."""
        if len(found) > self.limit:
            raise too_many(self.limit)
        return found


def too_many(limit: int) -> FhirError:
    return TooCostly(f"A step of the chain finds more than {limit} resources; narrow it.")


async def chain(seeker: Seeker, wanted: Chain, query: Query) -> Criterion:
    """The keys of references to what the query finds."""
    by_url = [route for route in wanted.routes if route.canonical]
    prefixes: dict[str, list[str]] = {}
    for route in wanted.routes:
        prefixes.setdefault(route.target, []).append(route.prefix)
    keys = [prefix + id_ for id_ in await seeker.ids(query) for prefix in prefixes.get(id_.partition("/")[0], ())]
    inside: list[str] = []
    if len(by_url) < len(wanted.routes):
        inside = await _containing(seeker, wanted, query)
    if by_url:
        urls = await _urls(seeker, query)
        keys += [route.prefix + url for route in by_url for url in urls.get(route.target, ())]
    found = Criterion(keys=tuple(dict.fromkeys(keys)))
    return found | Criterion(ids=tuple(inside)) if inside else found


async def _containing(seeker: Seeker, wanted: Chain, query: Query) -> list[str]:
    """ "A chained condition will be evaluated inside contained resources": what contains one that fits.

    https://hl7.org/fhir/R4/search.html#contained
    """
    filter = containing(query, numbers(wanted.routes))
    return seeker.few(await seeker.repository.ids(seeker.principal, filter, limit=seeker.limit + 1))


def numbers(routes: Iterable[Route]) -> set[str]:
    """The numbers of the parameters that the routes belong to."""
    return {route.prefix[:-1] for route in routes}


async def has(seeker: Seeker, wanted: Has, query: Query) -> Criterion:
    """What the resources that the query finds refer to."""
    filter = count_filter(query)
    keys = await seeker.ends(filter, {f"{route.prefix}{route.target}/" for route in wanted.routes})
    ids = dict.fromkeys(one for key in keys if names_one(one := key.partition(">")[2]))
    found = Criterion(ids=tuple(ids))
    by_url = [route for route in wanted.routes if route.canonical]
    if by_url:
        keys = await seeker.ends(filter, {route.prefix for route in by_url})
        own = sorted({number for route in by_url if (number := url_number(route.target))})
        urls = dict.fromkeys(url for key in keys if ":" in (url := key.partition(">")[2]))
        found |= Criterion(keys=tuple(f"{number}={url}" for number in own for url in urls))
    return found


async def _urls(seeker: Seeker, query: Query) -> dict[str, list[str]]:
    """The canonical URLs of what the query finds, by resource type."""
    names = {number: name for name in query.types if (number := url_number(name))}
    keys = await seeker.ends(count_filter(query), {f"{number}=" for number in names}) if names else []
    found: dict[str, list[str]] = {}
    for key in keys:
        found.setdefault(names[key[:3]], []).append(key[4:])
    return found


async def listed(seeker: Seeker, wanted: Listed) -> Criterion:
    """The entries of a List, of the types searched; nothing when there is no such list to see."""
    stored = await seeker.repository.read(seeker.principal, "List", wanted.id)
    if stored is None or stored.deleted:
        return Criterion()
    ids: dict[str, None] = {}
    for entry in stored.resource().get("entry", ()):
        reference = entry.get("item", {}).get("reference", "")
        type_, _, id_ = reference.removeprefix(f"{seeker.base_url}/").partition("/_history/")[0].partition("/")
        if type_ in wanted.types and id_ and not entry.get("deleted"):
            ids[f"{type_}/{id_}"] = None
    return Criterion(ids=tuple(ids))


async def part_of(seeker: Seeker, wanted: PartOf) -> Criterion:
    """References to these resources, to what is part of them, or to what they are part of."""
    known = dict.fromkeys(wanted.ids)
    level = list(known)
    for _ in range(_STEPS):
        following = await (_wholes(seeker, level) if wanted.above else _parts(seeker, level))
        level = [one for one in following if one not in known]
        known.update(dict.fromkeys(level))
        if not level:
            break
    return Criterion(keys=_references(wanted.routes, known))


def _references(routes: Iterable[Route], ids: Iterable[str]) -> tuple[str, ...]:
    every = list(ids)
    return tuple(route.prefix + one for route in routes for one in every if one.startswith(f"{route.target}/"))


async def _parts(seeker: Seeker, ids: list[str]) -> list[str]:
    """What says that it is part of one of these."""
    found: list[str] = []
    for target in {one.partition("/")[0] for one in ids}:
        if keys := _references(parents(target), ids):
            filter = {"k": {"$in": list(keys)}}
            found += await seeker.repository.ids(seeker.principal, filter, limit=MAX_FOUND + 1)
    return seeker.few(found)


async def _wholes(seeker: Seeker, ids: list[str]) -> list[str]:
    """What these say they are part of."""
    prefixes = {f"{route.prefix}{route.target}/" for one in ids for route in parents(one.partition("/")[0])}
    keys = await seeker.ends({"_id": {"$in": ids}}, prefixes) if prefixes else []
    return [key.partition(">")[2] for key in keys]
