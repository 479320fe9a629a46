"""One interface for both kinds of code system: parsed in memory, or rows of the database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from fhir_server.terminology.codesystem import Concept
from fhir_server.terminology.effort import Effort
from fhir_server.terminology.resources import Filter


@dataclass(frozen=True, slots=True)
class Want:
    """Which of the concepts that fit the filters: those with all `words` as beginnings of their words, and so on."""

    words: tuple[str, ...] = ()
    active: bool = False
    selectable: bool = False
    offset: int = 0
    limit: int | None = None


@dataclass(slots=True)
class Selection:
    """Concepts in order of the code system, and how many there are without offset and limit."""

    concepts: list[Concept] = field(default_factory=list)
    total: int = 0


class System(Protocol):
    """A code system with its concepts; codes are taken as written."""

    url: str
    version: str
    name: str
    language: str
    content: str
    hierarchy_meaning: str
    case_sensitive: bool | None

    @property
    def is_partial(self) -> bool:
        """Whether the code system has codes that are not here."""
        ...

    @property
    def is_a(self) -> bool:
        """Whether its hierarchy says what is a kind of what."""
        ...

    def check_listed(self) -> None:
        """Raise NotSupported (400) when the concepts themselves are not here."""
        ...

    def value_type(self, name: str) -> str:
        """The declared type of a property ("code", "Coding", "boolean" …); "string" when nothing is declared."""
        ...

    async def many(self, codes: Iterable[str]) -> dict[str, Concept]:
        """The concepts of these codes; those that are not there are absent."""
        ...

    async def matching(self, code: str) -> list[str]:
        """The codes meant by what somebody typed: exactly this one, or else those that differ in case only."""
        ...

    async def select(self, filters: Sequence[Filter], effort: Effort, want: Want) -> Selection:
        """The concepts that fit all filters; raises NotSupported or Invalid (400) for a filter it does not allow."""
        ...

    async def fitting(self, codes: Iterable[str], filters: Sequence[Filter], effort: Effort) -> set[str]:
        """Which of these codes are there and fit all filters."""
        ...

    async def parents(self, code: str) -> list[str]: ...
    async def children(self, code: str, limit: int) -> list[str]: ...

    async def below(self, code: str, limit: int) -> list[str]:
        """The code itself and all below it, up to `limit`."""
        ...

    async def above(self, codes: Iterable[str]) -> dict[str, frozenset[str]]:
        """Each of these codes that is there, with itself and all above it."""
        ...


async def find(system: System, code: str) -> Concept | None:
    """The concept of a code, however it is written where the code system does not care about case."""
    exact = (await system.many([code])).get(code)
    if exact is not None or system.case_sensitive is not False:
        return exact
    similar = await system.matching(code)
    return (await system.many(similar[:1])).get(similar[0]) if similar else None
