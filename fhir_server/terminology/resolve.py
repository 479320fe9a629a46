"""Canonical URLs and references → code systems and value sets: stored ones first, then those published with R4.

https://hl7.org/fhir/R4/references.html#canonical
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Any, Generic, TypeVar

import msgspec

from fhir_server import definitions, json
from fhir_server.access import Principal
from fhir_server.outcomes import FhirError, Invalid, NotSupported
from fhir_server.search.compile import compile
from fhir_server.search.parse import parse
from fhir_server.storage.canonical import MAX_VERSIONS, Rank, rank
from fhir_server.storage.repository import Repository
from fhir_server.storage.stored import Stored
from fhir_server.terminology.cache import Era, cache_of, era_of
from fhir_server.terminology.codesystem import CodeSystem
from fhir_server.terminology.implicit import all_codes, implicit
from fhir_server.terminology.known import known
from fhir_server.terminology.listed import Listed
from fhir_server.terminology.resources import CodeSystemResource, ConceptMapResource, ValueSetResource, decode
from fhir_server.terminology.rows import Rows
from fhir_server.terminology.system import System

Json = dict[str, Any]

MAX_SYSTEMS = 2000  # stored code systems that are looked through for the value set that they define
MAX_NAME = 200  # characters of a URL that are repeated in a message

Parsed = TypeVar("Parsed", CodeSystem, ValueSetResource, ConceptMapResource)


@dataclass(frozen=True, slots=True)
class Found(Generic[Parsed]):
    """A definition, and where it is stored (None: published, or made from its URL)."""

    definition: Parsed
    stored: Stored | None = None


@dataclass(frozen=True, slots=True)
class _Head:
    """What tells the stored resources of one canonical URL apart; `stored` is without text."""

    stored: Stored
    version: str
    status: str
    date: str
    usable: bool


class Resolver:
    """Code systems and value sets as one caller sees them; each is read once in the life of a resolver.

    `as_of` prefers what was defined up to this date.
    """

    def __init__(self, repository: Repository, principal: Principal, base_url: str, as_of: str = "") -> None:
        self.repository = repository
        self.principal = principal
        self._base_url = base_url
        self._as_of = as_of
        self._cache = cache_of(repository)
        self._systems: dict[tuple[str, str, str], System | None] = {}
        self._given: dict[str, System] = {}
        self._era: Era | None = None

    async def era(self) -> Era:
        """What is known of the generation that was current when this resolver began."""
        if self._era is None:
            self._era = await era_of(self.repository)
        return self._era

    def give(self, resource: Json) -> System:
        """Take a CodeSystem that the caller sent; it goes before others of its URL."""
        system = Listed(_code_system(json.encode(resource).decode()))
        if system.url:
            self._given[system.url] = system
        return system

    async def code_system(self, url: str, version: str = "", as_of: str = "") -> System:
        """The code system with its concepts; `version` "*" is any.

        Raises NotSupported (400), naming it, when this server does not have its codes.
        """
        found = await self.known_code_system(url, version, as_of)
        if found is None:
            raise NotSupported(f"Code system {canonical(url, version)[:MAX_NAME]} is not known to this server.")
        found.check_listed()
        return found

    async def known_code_system(self, url: str, version: str = "", as_of: str = "") -> System | None:
        """What is known of a code system, perhaps not its codes; None when nothing is."""
        if url in self._given:
            return self._given[url]
        wanted = "" if version == "*" else version
        key = url, wanted, as_of or self._as_of
        if key not in self._systems:
            self._systems[key] = await self._code_system(*key)
        return self._systems[key]

    async def _code_system(self, url: str, version: str, as_of: str) -> System | None:
        stored = await self._stored("CodeSystem", url, version, _code_system, as_of)
        if stored is None:
            published = _fitting(published_code_system(url), version)
            if published is None or not published.concepts:
                formed = known(url)
                if formed is not None:
                    return formed
            return Listed(published) if published is not None else None
        assert stored.stored is not None
        load = (await self._loads()).get(stored.stored.key)
        if load is not None and not stored.definition.concepts:
            return Rows(stored.definition, load, self.repository.concepts, (await self.era()).counts)
        return Listed(stored.definition)

    async def _loads(self) -> Any:
        era = await self.era()
        if era.loads is None:
            era.loads = await self.repository.concepts.loads()
        return era.loads

    async def code_system_at(self, reference: str) -> System | None:
        """The code system of "CodeSystem/id", its URL on this server, or its canonical "url|version"."""
        found = await self._literal("CodeSystem", reference, _code_system)
        url, _, version = reference.partition("|")
        if found is not None:
            url, version = found.definition.url, found.definition.version
            if not url:
                return Listed(found.definition)
        return await self.known_code_system(url, version)

    async def value_set(self, reference: str) -> Found[ValueSetResource]:
        """The value set that a reference means: read literally where that leads to one, else as a canonical URL.

        https://hl7.org/fhir/R4/search.html#token, `:in`. Raises Invalid (400, not-found), naming it.
        """
        literal = await self._literal("ValueSet", reference, _value_set)
        if literal is not None:
            return literal
        url, _, version = reference.partition("|")
        stored = await self._stored("ValueSet", url, version, _value_set, self._as_of)
        if stored is not None:
            return stored
        published = _fitting(published_value_set(url), version) or implicit(url, version)
        if published is None and published_value_set(url) is None:
            system = await self._system_of(url)
            published = all_codes(url, system, version) if system else None
        if published is None:
            raise _unknown("Value set", reference)
        return Found(published)

    async def value_set_json(self, found: Found[ValueSetResource]) -> Json:
        """The whole resource, to be changed by the caller."""
        if found.stored is not None:
            stored = found.stored
            if not stored.text:
                stored = (await self.repository.read_many(self.principal, [stored.key]))[stored.key]
            return stored.resource()
        text = definitions.value_set(found.definition.url)
        if text is None:
            return {"resourceType": "ValueSet", "url": found.definition.url, "status": found.definition.status}
        decoded: Json = json.decode(bytes(text))
        return decoded

    async def concept_map(self, reference: str) -> ConceptMapResource:
        """The concept map that a reference means, as `value_set`."""
        found = await self._literal("ConceptMap", reference, _concept_map)
        url, _, version = reference.partition("|")
        found = found or await self._stored("ConceptMap", url, version, _concept_map, self._as_of)
        if found is not None:
            return found.definition
        published = _fitting(published_concept_map(url), version)
        if published is None:
            raise _unknown("Concept map", reference)
        return published

    async def concept_maps(self, pairs: list[tuple[str, str]], limit: int) -> list[ConceptMapResource]:
        """The stored concept maps that this search finds."""
        asked = compile(parse("ConceptMap", pairs, base_url=self._base_url))
        found = await self.repository.find(self.principal, asked.filter, sort=asked.sort, limit=limit)
        return [await self._cache.parsed(one, _concept_map) for one in found]

    async def supplements(self, url: str) -> list[CodeSystem]:
        """The stored, active supplements of a code system."""
        era = await self.era()
        key = self.principal.fingerprint(), "supplements", url
        heads = era.heads.get(key)
        if heads is None:
            pairs = [("supplements", escaped(url)), ("status", "active")]
            asked = compile(parse("CodeSystem", pairs, base_url=self._base_url))
            heads = await self.repository.find(
                self.principal, asked.filter, sort=asked.sort, limit=MAX_VERSIONS, text=False
            )
            era.heads.put(key, heads)
        found = [(await self._parsed(stored, _code_system)) for stored in heads]
        return [one for one in found if one.content == "supplement"]

    # ---- stored ones -------------------------------------------------------------------------------

    async def _literal(self, kind: str, reference: str, read: Callable[[str], Parsed]) -> Found[Parsed] | None:
        literal = re.fullmatch(rf"{kind}/([A-Za-z0-9.\-]{{1,64}})", reference.removeprefix(f"{self._base_url}/"))
        if not literal:
            return None
        stored = await self.repository.read(self.principal, kind, literal[1])
        if stored is None or stored.deleted:
            return None
        return Found(await self._cache.parsed(stored, read), stored)

    async def _stored(
        self, kind: str, url: str, version: str, read: Callable[[str], Parsed], as_of: str
    ) -> Found[Parsed] | None:
        """The stored resource of this canonical URL, the best one when there are several."""
        heads = [head for head in await self._heads(kind, url, read) if version in ("", head.version) and head.usable]
        if not heads:
            return None
        best = max(heads, key=lambda head: _rank(head, as_of))
        return Found(await self._parsed(best.stored, read), best.stored)

    async def _heads(self, kind: str, url: str, read: Callable[[str], Parsed]) -> list[_Head]:
        if not url:
            return []
        era = await self.era()
        key = self.principal.fingerprint(), kind, url
        heads: list[_Head] | None = era.heads.get(key)
        if heads is None:
            asked = compile(parse(kind, [("url", escaped(url))], base_url=self._base_url))
            found = await self.repository.find(
                self.principal, asked.filter, sort=asked.sort, limit=MAX_VERSIONS, text=False
            )
            heads = []
            for stored in found:
                one = await self._parsed(stored, read)
                if one.url == url:
                    usable = not (isinstance(one, CodeSystem) and one.content == "supplement")
                    heads.append(_Head(stored, one.version, one.status, one.date, usable))
            era.heads.put(key, heads)
        return heads

    async def _parsed(self, stored: Stored, read: Callable[[str], Parsed]) -> Parsed:
        """The definition of a resource that was found without its text."""
        kept: Parsed | None = self._cache.kept(stored)
        if kept is not None:
            return kept
        whole = (await self.repository.read_many(self.principal, [stored.key])).get(stored.key)
        if whole is None or whole.deleted:
            whole = replace(stored, text="{}")  # it went this moment
        return await self._cache.parsed(whole, read)

    async def _system_of(self, url: str) -> str | None:
        """The code system that names this as the value set of all its codes."""
        era = await self.era()
        caller = self.principal.fingerprint()
        implied = era.implied.get(caller)
        if implied is None:
            asked = compile(parse("CodeSystem", [], base_url=self._base_url))
            found = await self.repository.find(
                self.principal, asked.filter, sort=asked.sort, limit=MAX_SYSTEMS, text=False
            )
            systems = [await self._parsed(stored, _code_system) for stored in found]
            implied = {one.value_set: one.url for one in systems if one.value_set and one.url}
            era.implied.put(caller, implied)
        return implied.get(url) or published_system_of(url)


def _unknown(kind: str, reference: str) -> FhirError:
    return Invalid(f"{kind} {reference[:MAX_NAME]} is not known to this server.", code="not-found")


def _rank(head: _Head, as_of: str) -> tuple[bool, Rank]:
    """Defined in time before others, then as canonical URLs are ranked."""
    in_time = not as_of or (bool(head.date) and head.date <= as_of)
    return in_time, rank(head.status, head.version, head.stored.updated)


def _fitting(found: Parsed | None, version: str) -> Parsed | None:
    return found if found is not None and version in ("", found.version) else None


def escaped(text: str) -> str:
    """The text as the value of a search parameter."""
    return re.sub(r"([\\,$|])", r"\\\1", text)


def canonical(url: str, version: str) -> str:
    return f"{url}|{version}" if version else url


def _code_system(text: str | msgspec.Raw) -> CodeSystem:
    return CodeSystem(decode(text, CodeSystemResource, "a code system"))


def _value_set(text: str | msgspec.Raw) -> ValueSetResource:
    return decode(text, ValueSetResource, "a value set")


def _concept_map(text: str | msgspec.Raw) -> ConceptMapResource:
    return decode(text, ConceptMapResource, "a concept map")


read_value_set, read_concept_map = _value_set, _concept_map  # of resources that callers send


@lru_cache(maxsize=128)
def published_code_system(url: str) -> CodeSystem | None:
    """A code system of R4, v2 or v3 as HL7 published it."""
    text = definitions.code_system(url)
    return None if text is None else _code_system(text)


@lru_cache(maxsize=512)
def published_value_set(url: str) -> ValueSetResource | None:
    """A value set of R4, v2 or v3 as HL7 published it."""
    text = definitions.value_set(url)
    return None if text is None else _value_set(text)


@cache
def published_concept_map(url: str) -> ConceptMapResource | None:
    """A concept map of R4 as HL7 published it."""
    text = definitions.concept_map(url)
    return None if text is None else _concept_map(text)


def published_system_of(value_set: str) -> str | None:
    """The published code system that names this as the value set of all its codes, of those with a URL to tell by."""
    system = published_code_system(value_set.replace("/ValueSet/", "/"))
    return system.url if system is not None and system.value_set == value_set else None
