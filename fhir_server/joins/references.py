"""Chains, `_has`, `_list` and hierarchies: what refers to what, from the keys and not from the resources.

https://hl7.org/fhir/R4/search.html#chaining · https://hl7.org/fhir/R4/search.html#has
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fhir_server.access import Principal
from fhir_server.outcomes import FhirError, TooCostly
from fhir_server.search.compile import count_filter
from fhir_server.search.criteria import parents
from fhir_server.search.fields import fields
from fhir_server.search.keys import Criterion
from fhir_server.search.query import Chain, Has, Listed, PartOf, Query, Route
from fhir_server.storage.repository import Repository

MAX_FOUND = 100_000  # resources at one step of a chain
FEW = 2_000  # resources that are looked up without a second thought
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
        return self.few(await self.repository.ids(self.principal, filter, limit=self.limit + 1))

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
    by_id = [route for route in wanted.routes if not route.canonical]
    by_url = [route for route in wanted.routes if route.canonical]
    keys: list[str] = []
    if by_id:
        ids = await seeker.ids(query)
        prefixes: dict[str, list[str]] = {}
        for route in by_id:
            prefixes.setdefault(route.target, []).append(route.prefix)
        keys += [prefix + id_ for id_ in ids for prefix in prefixes.get(id_.partition("/")[0], ())]
    if by_url:
        urls = await _urls(seeker, query)
        keys += [route.prefix + url for route in by_url for url in urls.get(route.target, ())]
    return Criterion(keys=tuple(dict.fromkeys(keys)))


async def has(seeker: Seeker, wanted: Has, query: Query) -> Criterion:
    """What the resources that the query finds refer to."""
    filter = count_filter(query)
    by_id = {f"{route.prefix}{route.target}/" for route in wanted.routes if not route.canonical}
    found = Criterion()
    if by_id:
        keys = await seeker.ends(filter, by_id)
        ids = dict.fromkeys(key.partition(">")[2] for key in keys if "/_history/" not in key)
        found |= Criterion(ids=tuple(ids))
    by_url = [route for route in wanted.routes if route.canonical]
    if by_url:
        keys = await seeker.ends(filter, {f"{route.prefix}http" for route in by_url})
        targets = {route.target for route in by_url}
        numbers = [fields(target)["url"].parameter.number for target in sorted(targets) if "url" in fields(target)]
        urls = dict.fromkeys(key.partition(">")[2] for key in keys)
        found |= Criterion(keys=tuple(f"{number}={url}" for number in numbers for url in urls))
    return found


async def _urls(seeker: Seeker, query: Query) -> dict[str, list[str]]:
    """The canonical URLs of what the query finds, by resource type."""
    numbers = {fields(name)["url"].parameter.number: name for name in query.types if "url" in fields(name)}
    keys = await seeker.ends(count_filter(query), {f"{number}=" for number in numbers})
    found: dict[str, list[str]] = {}
    for key in keys:
        found.setdefault(numbers[key[:3]], []).append(key[4:])
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
