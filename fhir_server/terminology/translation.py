"""`$translate`: https://hl7.org/fhir/R4/conceptmap-operation-translate.html"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fhir_server import definitions, json
from fhir_server.access import Principal
from fhir_server.outcomes import TooCostly
from fhir_server.storage.repository import Repository
from fhir_server.terminology.coding import Coding
from fhir_server.terminology.effort import Effort
from fhir_server.terminology.resolve import Resolver, canonical, escaped, published_concept_map, read_concept_map
from fhir_server.terminology.resources import ConceptMapResource, Dependency, MapGroup, MapTarget

Json = dict[str, Any]

MAX_MAPS = 100  # stored ones of one code system
MAX_DEPTH = 10  # of maps that lead on to others
_NONE = frozenset({"unmatched", "disjoint"})
_INVERSE = {"wider": "narrower", "narrower": "wider", "subsumes": "specializes", "specializes": "subsumes"}


@dataclass(frozen=True, slots=True)
class TranslateRequest:
    """`concept_map` is a canonical, "ConceptMap/id" or an inline resource; without it all maps that fit are used.

    `source` and `target` are the value sets of the maps, `target_system` the system of the codes wanted;
    `dependencies` (of the source's `dependsOn`) by property.
    """

    codings: Sequence[Coding]
    concept_map: str | Json = ""
    concept_map_version: str = ""
    source: str = ""
    target: str = ""
    target_system: str = ""
    dependencies: Mapping[str, Coding | str] | None = None
    reverse: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    equivalence: str
    concept: Coding
    source: str = ""  # canonical of the map
    products: tuple[tuple[str, Coding], ...] = ()  # (property, value)

    def parts(self) -> list[Json]:
        parts: list[Json] = [{"name": "equivalence", "valueCode": self.equivalence}]
        if self.concept.code:
            parts.append({"name": "concept", "valueCoding": self.concept.to_fhir()})
        for element, coding in self.products:
            made = [{"name": "element", "valueUri": element}, {"name": "concept", "valueCoding": coding.to_fhir()}]
            parts.append({"name": "product", "part": made})
        return [*parts, {"name": "source", "valueUri": self.source}] if self.source else parts


@dataclass(frozen=True, slots=True)
class Translation:
    """`result`: whether there is a match that is not "unmatched" or "disjoint"."""

    result: bool
    matches: tuple[Match, ...] = ()
    message: str = ""

    def to_fhir(self) -> Json:
        """Parameters of the operation's answer."""
        listed: list[Json] = [{"name": "result", "valueBoolean": self.result}]
        if self.message:
            listed.append({"name": "message", "valueString": self.message})
        listed += [{"name": "match", "part": one.parts()} for one in self.matches]
        return {"resourceType": "Parameters", "parameter": listed}


async def translate(
    repository: Repository, principal: Principal, base_url: str, request: TranslateRequest
) -> Translation:
    """What the codes are by stored concept maps, then by those published with R4.

    Raises Invalid (400, not-found), naming it, for a concept map that is not here, TooCostly for maps that lead in
    circles or are too much to look through.
    """
    resolver = Resolver(repository, principal, base_url)
    maps = await _maps(resolver, request)
    found: dict[tuple[str, str, str], Match] = {}
    effort = Effort()
    for one in maps:
        for coding in request.codings:
            await asyncio.sleep(0)
            for match in await _by_map(_Search(resolver, coding, request, effort), one, 0):
                found.setdefault((match.equivalence, match.concept.system, match.concept.code), match)
    matches = tuple(found.values())
    if any(one.equivalence not in _NONE for one in matches):
        return Translation(True, matches)
    text = "No concept map fits." if not maps else "The concept maps that fit have no match for this code."
    return Translation(False, matches, text)


async def _maps(resolver: Resolver, request: TranslateRequest) -> list[ConceptMapResource]:
    if isinstance(request.concept_map, dict):
        return [read_concept_map(json.encode(request.concept_map).decode())]
    if request.concept_map:
        version = request.concept_map_version
        versioned = version and "|" not in request.concept_map
        return [await resolver.concept_map(f"{request.concept_map}|{version}" if versioned else request.concept_map)]
    parameter = "target-system" if request.reverse else "source-system"
    maps: dict[str, ConceptMapResource] = {}
    for system in dict.fromkeys(one.system for one in request.codings if one.system):
        for one in await resolver.concept_maps([(parameter, escaped(system))], MAX_MAPS):
            maps.setdefault(one.url or str(len(maps)), one)
    for url in sorted(definitions.concept_map_urls() - maps.keys()):
        published = published_concept_map(url)
        if published is not None:
            maps[url] = published
    return [one for one in maps.values() if _fits(one, request)]


def _fits(one: ConceptMapResource, request: TranslateRequest) -> bool:
    source, target = one.source_canonical or one.source_uri, one.target_canonical or one.target_uri
    for wanted, has in ((request.source, source), (request.target, target)):
        if wanted and wanted.partition("|")[0] != has.partition("|")[0]:
            return False
    return one.status != "retired"


@dataclass(slots=True)
class _Search:
    """One code on its way through a map and those that it leads on to, each looked through once."""

    resolver: Resolver
    coding: Coding
    request: TranslateRequest
    effort: Effort
    done: set[str] = field(default_factory=set)


async def _by_map(search: _Search, one: ConceptMapResource, depth: int) -> list[Match]:
    if depth > MAX_DEPTH:
        raise TooCostly("The concept maps lead on to one another too often.")
    coding, request = search.coding, search.request
    matches: list[Match] = []
    name = canonical(one.url, one.version)
    for group in one.group:
        search.effort.spend(1)
        if not _is_of(group, coding, request):
            continue
        search.effort.spend(len(group.element))
        if request.reverse:
            matches += _reversed(group, coding, name)
            continue
        elements = [element for element in group.element if element.code == coding.code]
        for element in elements:
            matches += [
                _match(group, target, name) for target in element.target if _depends(target.depends_on, request)
            ]
        if not elements and group.unmapped is not None:
            matches += await _unmapped(search, group, name, depth)
    return matches


def _is_of(group: MapGroup, coding: Coding, request: TranslateRequest) -> bool:
    ends = (group.target, group.target_version), (group.source, group.source_version)
    (other, _), (own, version) = ends if not request.reverse else (ends[1], ends[0])
    if own and coding.system and own != coding.system:
        return False
    if version and coding.version and version != coding.version:
        return False
    return not (request.target_system and other and other != request.target_system)


def _match(group: MapGroup, target: MapTarget, name: str) -> Match:
    concept = Coding(group.target, target.code, group.target_version, target.display) if target.code else Coding()
    products = tuple((one.property, Coding(one.system, one.value, "", one.display)) for one in target.product)
    return Match(target.equivalence or "equivalent", concept, name, products)


def _reversed(group: MapGroup, coding: Coding, name: str) -> list[Match]:
    return [
        Match(
            _INVERSE.get(target.equivalence, target.equivalence or "equivalent"),
            Coding(group.source, element.code, group.source_version, element.display),
            name,
        )
        for element in group.element
        for target in element.target
        if target.code == coding.code and target.equivalence not in _NONE
    ]


def _depends(dependencies: Sequence[Dependency], request: TranslateRequest) -> bool:
    """Whether the other elements that the target depends on have the values that it needs."""
    given = request.dependencies or {}
    for one in dependencies:
        value = given.get(one.property)
        if isinstance(value, Coding):
            if value.code != one.value or (one.system and value.system and one.system != value.system):
                return False
        elif value != one.value:
            return False
    return True


async def _unmapped(search: _Search, group: MapGroup, name: str, depth: int) -> list[Match]:
    """https://hl7.org/fhir/R4/conceptmap-definitions.html#ConceptMap.group.unmapped"""
    unmapped, coding = group.unmapped, search.coding
    assert unmapped is not None
    match unmapped.mode:
        case "provided":
            return [Match("equal", Coding(group.target or coding.system, coding.code, "", coding.display), name)]
        case "fixed":
            return [Match("inexact", Coding(group.target, unmapped.code, "", unmapped.display), name)]
        case "other-map" if unmapped.url not in search.done:
            other = await search.resolver.concept_map(unmapped.url)
            found = await _by_map(search, other, depth + 1)
            search.done.add(unmapped.url)
            return found
    return []
