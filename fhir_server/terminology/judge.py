"""Which of some codes are in a value set, asked of its definition part by part: nothing is expanded.

https://hl7.org/fhir/R4/valueset.html#compositions
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from fhir_server.outcomes import FhirError, Invalid, NotSupported, TooCostly
from fhir_server.terminology.codesystem import Concept
from fhir_server.terminology.effort import Effort
from fhir_server.terminology.expansion import TOO_COSTLY, UNCLOSED
from fhir_server.terminology.implicit import ANSWER
from fhir_server.terminology.resolve import Resolver, canonical
from fhir_server.terminology.resources import Compose, Contains, Filter, Include, StoredExpansion, ValueSetResource
from fhir_server.terminology.system import System, find
from fhir_server.terminology.versions import Versions

Key = tuple[str, str]  # system, code

MAX_DEPTH = 30  # of value sets that import value sets
VISIT = 100  # effort of looking into one value set that is imported
TOGETHER = 1000  # includes, or codes of one, between which others get their turn


@dataclass(slots=True)
class Answer:
    """The codes that are in it, and those of which this server cannot tell, with the reason."""

    yes: set[Key] = field(default_factory=set)
    unknown: dict[Key, FhirError] = field(default_factory=dict)

    def check(self) -> set[Key]:
        """Those that are in it; raises the reason when it cannot be told of any."""
        for reason in self.unknown.values():
            raise reason
        return self.yes


class Judge:
    """Evaluates value sets for one caller."""

    def __init__(self, resolver: Resolver, versions: Versions, effort: Effort) -> None:
        self._resolver, self._versions, self._effort = resolver, versions, effort
        self._answered: dict[tuple[str, frozenset[Key]], Answer] = {}

    async def value_set(self, reference: str, keys: Collection[Key], within: tuple[str, ...] = ()) -> Answer:
        """Which of the codes are in the value set of this reference; `within` names those that led here.

        Raises Invalid (400): `not-found` for a value set that is not here, `processing` for one that imports itself.
        """
        asked = reference, frozenset(keys)
        if asked not in self._answered:  # the same one may be imported by many, who import one another
            self._effort.spend(VISIT)
            await asyncio.sleep(0)
            found = (await self._resolver.value_set(reference)).definition
            self._answered[asked] = await self.definition(found, keys, entered(found, reference, within))
        return self._answered[asked]

    async def definition(self, value_set: ValueSetResource, keys: Collection[Key], within: tuple[str, ...]) -> Answer:
        """The same of a definition that the caller has."""
        if value_set.compose is None:
            if value_set.expansion is None:
                raise NotSupported(f"Value set {within[-1]} has no content logical definition (compose) or expansion.")
            return _stored(value_set.expansion, keys, within[-1])
        answer = await self._compose(value_set.compose, keys, within)
        if answer.unknown and value_set.expansion is not None:
            again = _stored(value_set.expansion, list(answer.unknown), within[-1])
            answer.yes |= again.yes
            answer.unknown = again.unknown
        return answer

    async def _compose(self, compose: Compose, keys: Collection[Key], within: tuple[str, ...]) -> Answer:
        answer = Answer()
        for number, include in enumerate(compose.include, 1):
            if number % TOGETHER == 0:
                await asyncio.sleep(0)
            left = [key for key in keys if key not in answer.yes]
            if not left:
                break
            part = await self.include(include, left, within, compose.locked_date)
            answer.yes |= part.yes
            answer.unknown |= part.unknown
        answer.unknown = {key: reason for key, reason in answer.unknown.items() if key not in answer.yes}
        for exclude in compose.exclude:
            asked = [*answer.yes, *answer.unknown]
            part = await self.include(exclude, asked, within, compose.locked_date) if asked else Answer()
            answer.yes -= part.yes | part.unknown.keys()
            answer.unknown |= part.unknown
            answer.unknown = {key: reason for key, reason in answer.unknown.items() if key not in part.yes}
        if compose.inactive is False and answer.yes:
            answer.yes -= await self._inactive(answer.yes)
        return answer

    async def include(self, include: Include, keys: Iterable[Key], within: tuple[str, ...], as_of: str = "") -> Answer:
        """Which of the codes meet all conditions of an include or exclude.

        R4 has two sentences about several value sets in one include; "the codes must be in all the value sets" is the
        one that R5 kept.
        """
        keys = list(keys)
        self._effort.spend(1 + len(keys) // 4)
        if len(keys) > TOGETHER:
            await asyncio.sleep(0)
        possible = {key for key in keys if not include.system or key[0] == include.system}
        imported = [reference for reference in include.value_set if reference]
        if not possible or not (include.system or imported):
            return Answer()
        unknown: dict[Key, FhirError] = {}
        if include.system:
            part = await self._of_system(include, possible, as_of)
            possible, unknown = part.yes | part.unknown.keys(), dict(part.unknown)
        for reference in imported:
            if not possible:
                break
            try:
                part = await self.value_set(reference, possible, within)
            except FhirError as reason:
                if isinstance(reason, TooCostly) or reason.code == "processing":
                    raise
                part = Answer(set(), dict.fromkeys(possible, reason))
            unknown = {**part.unknown, **{key: why for key, why in unknown.items() if key in part.yes}}
            possible = part.yes | part.unknown.keys()
        return Answer(possible - unknown.keys(), unknown)

    async def _of_system(self, include: Include, keys: set[Key], as_of: str) -> Answer:
        self._effort.spend(len(keys))
        codes = {code for _, code in keys}
        if include.concept:
            return _answer(include.system, await self._listed(include, codes, as_of))
        system = await self._versions.known(include.system, include.version, as_of)
        if system is None:
            name = canonical(include.system, include.version)[:200]
            return _unknown(keys, NotSupported(f"Code system {name} is not known to this server."))
        try:
            system.check_listed()
            spelled = await _spelled(system, codes)
            filters = include.filter
            if filters and filters[0].op == "answers-of":
                listed = await answers(system, filters[0])
                fitting = {code for code in spelled.values() if code in listed}
            elif filters:
                fitting = await system.fitting(spelled.values(), filters, self._effort)
            else:
                fitting = set(spelled.values())
        except TooCostly:
            raise
        except FhirError as reason:
            return _unknown(keys, reason)
        answer = _answer(include.system, {code for code, real in spelled.items() if real in fitting})
        if system.is_partial:
            partly = NotSupported(f"Code system {system.url} is on this server only in part, without this code.")
            answer.unknown = {key: partly for key in keys if key[1] not in spelled}
        return answer

    async def _listed(self, include: Include, codes: set[str], as_of: str) -> set[str]:
        listed = {one.code for one in include.concept}
        found = codes & listed
        left = codes - found
        folded = {one.casefold() for one in listed} if left else set()
        if left and any(code.casefold() in folded for code in left):
            system = await self._versions.known(include.system, include.version, as_of)
            if system is not None and system.case_sensitive is False:
                found |= {code for code in left if code.casefold() in folded}
        return found

    async def _inactive(self, keys: set[Key]) -> set[Key]:
        found: set[Key] = set()
        for url in {system for system, _ in keys}:
            system = await self._versions.known(url)
            if system is not None:
                concepts = await system.many([code for one, code in keys if one == url])
                found |= {(url, code) for code, concept in concepts.items() if concept.inactive}
        return found

    async def systems(self, value_set: ValueSetResource, within: tuple[str, ...]) -> dict[str, None]:
        """The code systems that the value set takes codes of, imports followed, in order."""
        found: dict[str, None] = {}
        await self._add_systems(value_set, within, found, set())
        return found

    async def _add_systems(
        self, value_set: ValueSetResource, within: tuple[str, ...], found: dict[str, None], seen: set[str]
    ) -> None:
        if value_set.compose is None and value_set.expansion is not None:
            found |= dict.fromkeys(one.system for one in flat(value_set.expansion.contains))
        for include in value_set.compose.include if value_set.compose else ():
            if include.system:
                found[include.system] = None
                continue
            for reference in filter(None, include.value_set):
                if reference in seen:
                    continue
                seen.add(reference)
                self._effort.spend(VISIT)
                await asyncio.sleep(0)
                try:
                    imported = (await self._resolver.value_set(reference)).definition
                except Invalid:
                    continue
                await self._add_systems(imported, entered(imported, reference, within), found, seen)

    async def concept(self, key: Key) -> tuple[System | None, Concept | None]:
        """The code system and the concept of a code, as far as they are here."""
        system = await self._versions.known(key[0])
        return system, await find(system, key[1]) if system is not None else None


def entered(value_set: ValueSetResource, reference: str, within: tuple[str, ...]) -> tuple[str, ...]:
    """`within` and this value set; raises Invalid (processing) when it is in there, TooCostly when it is too deep."""
    name = canonical(value_set.url, value_set.version) if value_set.url else reference
    if name in within:
        raise Invalid(f"Value set {name} imports itself.", code="processing")
    if len(within) > MAX_DEPTH:
        raise TooCostly(f"Value sets import one another more than {MAX_DEPTH} deep.")
    return (*within, name)


async def answers(system: System, wanted: Filter) -> list[str]:
    """The codes of an answer list of LOINC, in order; raises Invalid (400, not-found) when it is not here."""
    found = (await system.many([wanted.value])).get(wanted.value)
    if found is None:
        raise Invalid(f"Code system {system.url} has no answer list '{wanted.value[:32]}'.", code="not-found")
    return list(found.properties.get(ANSWER, ()))


def complete(expansion: StoredExpansion, name: str) -> list[Contains]:
    """The codes of a stored expansion; raises NotSupported (400) when it says that it is not all."""
    found = [one for one in flat(expansion.contains) if one.code]
    cut = any(mark.value_boolean and mark.url in (TOO_COSTLY, UNCLOSED) for mark in expansion.extension)
    if cut or (expansion.total or 0) > len(found):
        raise NotSupported(f"Value set {name} has no definition, and its expansion is not complete.")
    return found


def flat(contains: tuple[Contains, ...]) -> Iterator[Contains]:
    for one in contains:
        yield one
        yield from flat(one.contains)


def _stored(expansion: StoredExpansion, keys: Collection[Key], name: str) -> Answer:
    listed = {(one.system, one.code) for one in flat(expansion.contains) if one.code}
    found = listed & set(keys)
    try:
        complete(expansion, name)
    except FhirError as reason:
        return Answer(found, {key: reason for key in keys if key not in found})
    return Answer(found)


def _answer(system: str, codes: Iterable[str]) -> Answer:
    return Answer({(system, code) for code in codes})


def _unknown(keys: Iterable[Key], reason: FhirError) -> Answer:
    return Answer(set(), dict.fromkeys(keys, reason))


async def _spelled(system: System, codes: set[str]) -> dict[str, str]:
    """Those that are there, with the code as the code system writes it."""
    found = {code: code for code in await system.many(codes)}
    if system.case_sensitive is False:
        for code in codes - found.keys():
            if similar := await system.matching(code):
                found[code] = similar[0]
    return found
