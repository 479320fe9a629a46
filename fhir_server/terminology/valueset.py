"""A value set's definition becomes its codes: https://hl7.org/fhir/R4/valueset.html#expansion"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

from fhir_server.access import Principal
from fhir_server.outcomes import Invalid, NotSupported, TooCostly
from fhir_server.storage.repository import Repository
from fhir_server.terminology.codesystem import CodeSystem, Concept
from fhir_server.terminology.effort import MAX_CODES, Effort
from fhir_server.terminology.filters import select
from fhir_server.terminology.resolve import Resolver
from fhir_server.terminology.resources import Compose, Contains, Include, StoredExpansion, ValueSetResource

MAX_DEPTH = 30  # of value sets that import value sets

_INCOMPLETE = (
    "http://hl7.org/fhir/StructureDefinition/valueset-toocostly",
    "http://hl7.org/fhir/StructureDefinition/valueset-unclosed",
)


@dataclass(frozen=True, slots=True)
class Member:
    """One code of a value set; `abstract` ones are in it for grouping and searching, not to be chosen."""

    system: str
    code: str
    display: str = ""
    abstract: bool = False
    inactive: bool = False


Members = dict[tuple[str, str], Member]


@dataclass(slots=True)
class Expansion:
    """The codes of a value set by (system, code), in order of its definition.

    `partial` are the code systems that were asked for as a whole (or by filter) and are here only in part.
    """

    members: Members = field(default_factory=dict)
    partial: dict[str, None] = field(default_factory=dict)


async def expand(repository: Repository, principal: Principal, base_url: str, value_set: str) -> Expansion:
    """Every code of the value set at `ValueSet/id`, its URL on this server, or its canonical `url|version`.

    Raises Invalid (400, not-found) for a value set and NotSupported (400) for a code system that is not here, each
    named, and TooCostly (400) beyond MAX_CODES.
    """
    return await _Expander(Resolver(repository, principal, base_url)).expand(value_set, ())


async def codes_in(
    repository: Repository, principal: Principal, base_url: str, value_set: str
) -> frozenset[tuple[str, str]]:
    """(system, code) of everything in the value set, inactive and abstract codes included; raises as `expand` does.

    https://hl7.org/fhir/R4/search.html#token, `:in`
    """
    expansion = await expand(repository, principal, base_url, value_set)
    return frozenset(expansion.members)


class _Expander:
    """One expansion with all that it imports, each value set worked out once."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._effort = Effort()
        self._done: dict[str, Expansion] = {}

    async def expand(self, reference: str, within: tuple[str, ...]) -> Expansion:
        """`within` names the value sets that led here."""
        if reference not in self._done:
            value_set = await self._resolver.value_set(reference)
            name = f"{value_set.url}|{value_set.version}" if value_set.url else reference
            if name in within:
                raise Invalid(f"Value set {name} imports itself.", code="processing")
            if len(within) > MAX_DEPTH:
                raise TooCostly(f"Value sets import one another more than {MAX_DEPTH} deep.")
            self._done[reference] = await self._evaluate(value_set, name, (*within, name))
        return self._done[reference]

    async def _evaluate(self, value_set: ValueSetResource, name: str, within: tuple[str, ...]) -> Expansion:
        if value_set.compose is not None:
            return await self._compose(value_set.compose, within)
        if value_set.expansion is not None:
            return self._stored(value_set.expansion, name)
        raise NotSupported(f"Value set {name} has no content logical definition (compose) and no expansion.")

    def _stored(self, expansion: StoredExpansion, name: str) -> Expansion:
        found = [one for one in _flat(expansion.contains) if one.code]
        cut = any(mark.value_boolean and mark.url in _INCOMPLETE for mark in expansion.extension)
        if cut or (expansion.total or 0) > len(found):
            raise NotSupported(f"Value set {name} has no definition, and its expansion is not complete.")
        members = {
            (one.system, one.code): Member(one.system, one.code, one.display, one.abstract, one.inactive)
            for one in found
        }
        return Expansion(self._bounded(members))

    async def _compose(self, compose: Compose, within: tuple[str, ...]) -> Expansion:
        whole = Expansion()
        for include in compose.include:
            selected = await self._select(include, within)
            for key, member in selected.members.items():
                whole.members.setdefault(key, member)
            whole.partial.update(selected.partial)
            self._bounded(whole.members)
        for exclude in compose.exclude:
            for key in (await self._select(exclude, within)).members:
                whole.members.pop(key, None)
        if compose.inactive is False:
            whole.members = {key: member for key, member in whole.members.items() if not member.inactive}
        return whole

    async def _select(self, include: Include, within: tuple[str, ...]) -> Expansion:
        """What meets all conditions of an include or exclude.

        R4 has two sentences about several value sets in one include; "the codes must be in all the value sets" is the
        one that R5 kept.
        """
        selected: Expansion | None = None
        if include.system:
            selected = await self._of_system(include)
        for reference in filter(None, include.value_set):
            imported = await self.expand(reference, within)
            self._effort.spend(len(imported.members) + 1)
            if selected is None:
                selected = Expansion(dict(imported.members), dict(imported.partial))
            else:
                kept = {key: member for key, member in selected.members.items() if key in imported.members}
                selected = Expansion(kept, {**selected.partial, **imported.partial})
        return selected or Expansion()

    async def _of_system(self, include: Include) -> Expansion:
        if include.concept:
            return Expansion(await self._listed(include))
        system = await self._resolver.code_system(include.system, include.version)
        await asyncio.sleep(0)  # other requests go on between one long computation and the next
        found = select(system, include.filter, self._effort)
        partial = {system.url: None} if system.is_partial else {}
        return Expansion({(system.url, one.code): _member(system.url, one) for one in found}, partial)

    async def _listed(self, include: Include) -> Members:
        """Codes given one by one need no code system; what it says of them is taken where it is known."""
        system: CodeSystem | None = await self._resolver.known_code_system(include.system, include.version)
        self._effort.spend(len(include.concept))
        members: Members = {}
        for one in include.concept:
            concept = system.concepts.get(one.code) if system is not None else None
            if concept is not None:
                member = _member(include.system, concept, one.display)
            else:
                member = Member(include.system, one.code, one.display)
            if one.code:
                members.setdefault((include.system, one.code), member)
        return members

    def _bounded(self, members: Members) -> Members:
        if len(members) > MAX_CODES:
            raise TooCostly(f"The value set has more than {MAX_CODES} codes.")
        return members


def _member(system: str, concept: Concept, display: str = "") -> Member:
    return Member(system, concept.code, display or concept.display, concept.abstract, concept.inactive)


def _flat(contains: tuple[Contains, ...]) -> Iterator[Contains]:
    for one in contains:
        yield one
        yield from _flat(one.contains)
