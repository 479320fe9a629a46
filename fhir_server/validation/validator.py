"""Resources judged at a level: structure, R4's invariants, profiles; what is asked on the way is answered here.

https://hl7.org/fhir/R4/validation.html
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Any

from fhir_server.fhirpath import Node, child, root
from fhir_server.outcomes import Issue, TooCostly
from fhir_server.terminology.effort import Effort
from fhir_server.validation.answers import Answers
from fhir_server.validation.explain import explain
from fhir_server.validation.fast import is_surely_valid
from fhir_server.validation.invariants import check_invariants
from fhir_server.validation.knowledge import Knowledge, ProfileOf
from fhir_server.validation.profiles.check import check_profile
from fhir_server.validation.profiles.extensions import check_extensions
from fhir_server.validation.profiles.vital_signs import vital_signs
from fhir_server.validation.run import MAX_EFFORT, Run

Json = dict[str, Any]
Read = Callable[[str, str], Awaitable[Json | None]]

MAX_ROUNDS = 40  # of asking: a profile names others, which name others
QUICK = 100_000  # effort of a pass that is not worth a thread
HEAVY = 2  # passes beside the event loop at a time
_STRUCTURAL = ("required", "code-invalid")  # what structure says of a place, profiles need not say again


class Level(IntEnum):
    """How far a check goes; each includes the ones before it."""

    STRUCTURE = 1
    INVARIANTS = 2
    PROFILES = 3

    @classmethod
    def of(cls, name: str) -> Level:
        return cls[name.upper()]


class Validator:
    """Judges resources for one server: its level, the profiles it enforces, and what it knows of others."""

    def __init__(
        self, answers: Answers, level: Level, enforced: Mapping[str, Sequence[str]], *, strict: bool = False
    ) -> None:
        self.level = level
        self.strict = strict  # unknown extensions and wrong displays are errors
        self._answers = answers
        self._enforced = enforced
        self._heavy = asyncio.Semaphore(HEAVY)

    async def check(
        self,
        resource: Any,
        read: Read,
        *,
        expect_type: str | None = None,
        level: Level | None = None,
        profiles: Sequence[str] = (),
        thorough: bool = False,
        moment: dict[str, Any] | None = None,
    ) -> list[Issue]:
        """Every issue at this level (the server's own, unless given); [] when there is none.

        `profiles` are canonical URLs that the resource must conform to besides those that it claims. `read` gives
        another resource by type and id as the caller may see it. With `thorough` also what deserves a warning is
        told, and what could not be checked; otherwise only errors are looked for. `moment`: see Answers.begin.
        """
        level = self.level if level is None else level
        issues = structure(resource, expect_type)
        if level is Level.STRUCTURE or (issues and not thorough) or not _is_walkable(resource):
            return issues
        return _distinct(issues, await self._deeper(resource, read, level, profiles, thorough, moment))

    async def knows(self, url: str) -> bool:
        """Whether there is a profile at this canonical URL that can be checked."""
        question = ProfileOf(url)
        known = await self._answers.begin()
        if question not in known:
            await self._answers.find(known, [question], _nothing)
        return known[question] is not None

    async def trouble(self, structure: Json) -> str:
        """Why this StructureDefinition cannot be checked with, "" when it can."""
        return await self._answers.trouble(structure)

    async def _deeper(
        self,
        resource: Json,
        read: Read,
        level: Level,
        profiles: Sequence[str],
        thorough: bool,
        moment: dict[str, Any] | None,
    ) -> list[Issue]:
        # Invariants seldom ask, and the read of the generation would cost as much as they do.
        known = await self._answers.begin(moment) if level is Level.PROFILES else None
        wanted_profiles = [*profiles, *self._enforced.get(resource["resourceType"], ())]
        effort, is_quick = Effort(MAX_EFFORT), True

        def check(effort: Effort) -> Run:
            node = root(resource)
            knowledge = Knowledge({} if known is None else known)
            run = Run(knowledge, node, check_profile, thorough=thorough, strict=self.strict, effort=effort)
            _check(run, node, wanted_profiles if level is Level.PROFILES else None)
            return run

        for _ in range(MAX_ROUNDS):
            run = _quickly(check) if is_quick else None
            if run is None:
                is_quick = False
                async with self._heavy:
                    run = await asyncio.to_thread(check, effort)
            if not run.knowledge.wanted:
                return run.issues
            if known is None:
                known = await self._answers.begin(moment)
            else:
                await self._answers.find(known, run.knowledge.wanted, read)
        raise TooCostly("The profiles of this resource lead to ever more profiles.")


async def _nothing(_type: str, _id: str) -> Json | None:
    return None


def structure(resource: Any, expect_type: str | None = None, conditional_references: bool = False) -> list[Issue]:
    """Every way in which this decoded JSON breaks the definition of its type (see fhir_server.validation.validate)."""
    if is_surely_valid(resource) and expect_type in (None, resource["resourceType"]):
        return []
    return explain(resource, expect_type, conditional_references)


def _is_walkable(resource: Any) -> bool:
    return isinstance(resource, dict) and isinstance(resource.get("resourceType"), str)


def _quickly(check: Callable[[Effort], Run]) -> Run | None:
    """The pass, as nearly all are; None for one that would keep others waiting."""
    try:
        return check(Effort(QUICK))
    except TooCostly:
        return None


def _check(run: Run, node: Node, profiles: Sequence[str] | None) -> None:
    """Invariants, and, unless that is None, profiles and extensions."""
    check_invariants(run, node)
    if profiles is not None:
        _check_profiles(run, node, profiles)
        check_extensions(run, node)


def _check_profiles(run: Run, node: Node, wanted: Sequence[str]) -> None:
    """The profiles asked for, and those that each resource in it claims."""
    for url in wanted:
        profile = run.profile(url)
        if profile is None:
            run.add("not-found", f"Profile {url[:200]} is not known to this server.", node)
        else:
            check_profile(run, node, profile)
    for resource in resources(node):
        for url in (*vital_signs(resource), *run.global_profiles(resource.type)) if run.strict else ():
            if (profile := run.profile(url)) is not None:
                check_profile(run, resource, profile)
        for claim in child(resource, "meta"):
            for place in child(claim, "profile"):
                url = place.value
                if not isinstance(url, str) or (resource is node and url in wanted):
                    continue
                profile = run.profile(url)
                if profile is not None:
                    check_profile(run, resource, profile)
                elif run.thorough:
                    text = f"Profile {url[:200]} is not known to this server and was not checked."
                    run.add("not-found", text, place, "warning")


def resources(node: Node) -> Iterator[Node]:
    """This resource, and those in it: contained, entries of a Bundle, parameters."""
    yield node
    for inner in _inside(node):
        yield from resources(inner)


def _inside(node: Node) -> Iterable[Node]:
    found = child(node, "contained")
    if node.type == "Bundle":
        found = [*found, *(one for entry in child(node, "entry") for one in child(entry, "resource"))]
    if node.type == "Parameters":
        found = [*found, *(one for part in _parts(node, "parameter") for one in child(part, "resource"))]
    return found


def _parts(node: Node, name: str) -> Iterator[Node]:
    for part in child(node, name):
        yield part
        yield from _parts(part, "part")


def _distinct(structural: list[Issue], deeper: Iterable[Issue]) -> list[Issue]:
    """All of them, without what is told already: in the same words, or by structure."""
    told = {(issue.code, issue.expression) for issue in structural if issue.code in _STRUCTURAL}
    found = [issue for issue in deeper if (issue.code, issue.expression) not in told]
    return list(dict.fromkeys([*structural, *found]))
