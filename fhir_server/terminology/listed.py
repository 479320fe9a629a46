"""A code system in memory, asked in the common way."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from fhir_server.terminology.codesystem import CodeSystem, Concept
from fhir_server.terminology.effort import Effort
from fhir_server.terminology.filters import select, tests
from fhir_server.terminology.resources import Filter
from fhir_server.terminology.system import Selection, Want

_MANY = 5000  # concepts; working on more lets others go on first


class Listed:
    """A parsed CodeSystem resource."""

    def __init__(self, system: CodeSystem) -> None:
        self._system = system
        self.url, self.version, self.name = system.url, system.version, system.name
        self.language, self.content = system.language, system.content
        self.hierarchy_meaning, self.case_sensitive = system.hierarchy_meaning, system.case_sensitive

    @property
    def is_partial(self) -> bool:
        return self._system.is_partial

    @property
    def is_a(self) -> bool:
        return self._system.is_a

    def check_listed(self) -> None:
        self._system.check_listed()

    def value_type(self, name: str) -> str:
        return self._system.types.get(name) or "string"

    async def many(self, codes: Iterable[str]) -> dict[str, Concept]:
        concepts = self._system.concepts
        return {code: concepts[code] for code in codes if code in concepts}

    async def matching(self, code: str) -> list[str]:
        return self._system.matching(code)

    async def select(self, filters: Sequence[Filter], effort: Effort, want: Want) -> Selection:
        if len(self._system.concepts) > _MANY:
            await asyncio.sleep(0)
        found = select(self._system, filters, effort)
        if want.words or want.active or want.selectable:
            effort.spend(len(found))
            found = [one for one in found if self._wanted(one, want)]
        end = None if want.limit is None else want.offset + want.limit
        return Selection(found[want.offset : end], len(found))

    def _wanted(self, one: Concept, want: Want) -> bool:
        if (want.active and one.inactive) or (want.selectable and one.abstract):
            return False
        return not want.words or begin(want.words, self._system.words(one))

    async def fitting(self, codes: Iterable[str], filters: Sequence[Filter], effort: Effort) -> set[str]:
        found = await self.many(codes)
        wanted = tests(self._system, filters, effort)
        return {code for code, concept in found.items() if all(test(concept) for test in wanted)}

    async def parents(self, code: str) -> list[str]:
        return list(self._system.parents(code))

    async def children(self, code: str, limit: int) -> list[str]:
        return list(self._system.children(code))[:limit]

    async def below(self, code: str, limit: int) -> list[str]:
        return self._system.descendants(code)[:limit]

    async def above(self, codes: Iterable[str]) -> dict[str, frozenset[str]]:
        known = self._system.concepts
        return {code: frozenset(self._system.ancestors(code)) for code in codes if code in known}


def begin(wanted: Iterable[str], words: Sequence[str]) -> bool:
    """Whether each of the wanted is the beginning of one of the words."""
    return all(any(word.startswith(one) for word in words) for one in wanted)
