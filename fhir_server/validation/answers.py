"""Answers to what checks ask: profiles from the store or from R4, codes from terminology, resources from the caller.

What follows from definitions alone is kept for one generation of them (fhir_server/storage/generation.py).
"""

from __future__ import annotations

import asyncio
import re
from collections import ChainMap
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from functools import lru_cache
from typing import Any, TypeVar

import structlog

from fhir_server import definitions, json, terminology
from fhir_server.access.principal import SYSTEM
from fhir_server.fhirpath import Node, root
from fhir_server.outcomes import FhirError
from fhir_server.search.compile import compile
from fhir_server.search.parse import parse
from fhir_server.storage.canonical import canonical
from fhir_server.storage.repository import Repository
from fhir_server.validation.knowledge import (
    DisplayOf,
    GlobalProfiles,
    IsMember,
    ProfileOf,
    Question,
    ResourceAt,
    Subsumes,
)
from fhir_server.validation.profiles.profile import Profile, ProfileError
from fhir_server.validation.profiles.profile import read as read_profile
from fhir_server.validation.snapshot import SnapshotError, generate

log = structlog.get_logger(__name__)

Json = dict[str, Any]
Made = TypeVar("Made")
Read = Callable[[str, str], Awaitable[Json | None]]
Known = ChainMap[Question, Any]  # what is for this check alone, and what is kept for the generation

_GENERATION = "definitions"
MAX_KEPT = 100_000  # answers
MAX_QUESTION = 1000  # characters of a question whose answer is kept: callers write URLs, codes and displays
MAX_GUIDES = 200
MANY = 200  # elements of a definition; more are worked on beside the event loop
MAX_DEFINITIONS = 200  # that one snapshot needs
_LITERAL = re.compile(r"(?:.*/)?([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?")


class Answers:
    """What one server knows: `base_url` tells its own resources by their absolute references."""

    def __init__(self, repository: Repository, base_url: str) -> None:
        self._repository = repository
        self._base_url = base_url
        self._generation = -1
        self._kept: dict[Question, Any] = {}

    async def begin(self, moment: dict[str, Any] | None = None) -> Known:
        """The answers that hold now; what the caller alone may see is kept for this one check.

        Checks that share a `moment`, as those of one transaction do, see the same generation of definitions.
        """
        moment = {} if moment is None else moment
        if _GENERATION not in moment:
            moment[_GENERATION] = await self._repository.definitions_generation()
        generation = moment[_GENERATION]
        if generation != self._generation or len(self._kept) > MAX_KEPT:
            self._generation, self._kept = generation, {}
        return ChainMap({}, self._kept)

    async def find(self, known: Known, wanted: Iterable[Question], read: Read) -> None:
        """Answer these questions."""
        for question in wanted:
            # What is kept is of the generation in which the check began, though there may be a newer one by now.
            kept = known.maps[1 if len(repr(question)) <= MAX_QUESTION else 0]
            match question:
                case ProfileOf():
                    kept[question] = await self._profile(question.url)
                case IsMember():
                    kept[question] = await self._member(question)
                case GlobalProfiles():
                    kept[question] = await self._global_profiles(question.type)
                case DisplayOf():
                    kept[question] = await self._display(question.coding)
                case Subsumes():
                    kept[question] = await self._subsumes(question)
                case ResourceAt():
                    known[question] = await self._resource(question.reference, read)

    # ---- profiles ------------------------------------------------------------------------------------

    async def _profile(self, url: str) -> Profile | None:
        structure = await self._structure(url)
        if structure is None:
            return _published(url)
        try:
            whole = await self._with_snapshot(structure)
            return await _beside(whole, read_profile, whole)
        except (ProfileError, SnapshotError) as error:
            log.warning("a profile cannot be used", url=url[:200], reason=str(error)[:300])
            return None

    async def trouble(self, structure: Json) -> str:
        """Why no profile can be made of this StructureDefinition, "" when one can."""
        try:
            read_profile(await self._with_snapshot(structure))
        except (ProfileError, SnapshotError) as error:
            return str(error)
        return ""

    async def _with_snapshot(self, structure: Json) -> Json:
        """The structure, with a snapshot made from its bases where it has none."""
        if structure.get("snapshot", {}).get("element"):
            return structure
        known: dict[str, Json | None] = {}

        def base(url: str) -> Json | None:
            if url not in known:
                raise _Missing(url)
            return known[url]

        for _ in range(MAX_DEFINITIONS):
            try:
                return await _beside(structure, generate, structure, base)
            except _Missing as missing:
                known[missing.url] = await self._structure(missing.url) or _published_structure(missing.url)
        raise SnapshotError("needs ever more definitions", "")

    async def _structure(self, url: str) -> Json | None:
        """The stored StructureDefinition of this canonical URL."""
        found = await canonical(self._repository, SYSTEM, "StructureDefinition", url)
        return found[0].resource() if found else None

    async def _global_profiles(self, type_: str) -> tuple[str, ...]:
        """https://hl7.org/fhir/R4/implementationguide-definitions.html#ImplementationGuide.global"""
        asked = compile(parse("ImplementationGuide", [("status", "active")], base_url=""))
        found = await self._repository.find(SYSTEM, asked.filter, sort=asked.sort, limit=MAX_GUIDES)
        named = [one for guide in found for one in guide.resource().get("global", ())]
        return tuple(dict.fromkeys(one["profile"] for one in named if one.get("type") == type_ and "profile" in one))

    # ---- terminology ---------------------------------------------------------------------------------

    async def _member(self, question: IsMember) -> terminology.Membership:
        return await terminology.member(
            self._repository, question.value_set, [question.coding], code_only=question.code_only
        )

    async def _display(self, coding: terminology.Coding) -> bool | None:
        bare = replace(coding, display="")
        try:
            if not (await self._validated(bare)).result:
                return None
            return (await self._validated(coding)).result
        except FhirError:
            return None

    async def _validated(self, coding: terminology.Coding) -> terminology.Verdict:
        return await terminology.validate_in_code_system(
            self._repository, SYSTEM, self._base_url, coding.system, [coding]
        )

    async def _subsumes(self, question: Subsumes) -> bool | None:
        outer, inner = question.outer, question.inner
        if not outer.system or outer.system != inner.system:
            return None
        try:
            found = await terminology.subsumes(
                self._repository, SYSTEM, self._base_url, outer.system, outer.code, inner.code
            )
        except FhirError:
            return None
        return found in ("equivalent", "subsumes")

    # ---- other resources -----------------------------------------------------------------------------

    async def _resource(self, reference: str, read: Read) -> Node | None:
        """The resource on this server; what is elsewhere is not fetched."""
        literal = reference.removeprefix(f"{self._base_url}/")
        named = _LITERAL.fullmatch(literal)
        if named is None or "://" in literal or named[1] not in definitions.RESOURCE_TYPES:
            return None
        found = await read(named[1], named[2])
        return root(found) if found is not None else None


async def _beside(structure: Json, work: Callable[..., Made], *given: Any) -> Made:
    """What this makes of the definition, on a thread where that takes long."""
    elements = max(len(structure.get(view, {}).get("element", ())) for view in ("snapshot", "differential"))
    return await asyncio.to_thread(work, *given) if elements > MANY else work(*given)


class _Missing(Exception):
    """The snapshot needs the definition at this URL, which is not fetched yet."""

    def __init__(self, url: str) -> None:
        self.url = url
        super().__init__(url)


def _published_structure(url: str) -> Json | None:
    url, _, version = url.partition("|")
    text = definitions.structure(url) if version in ("", definitions.FHIR_VERSION) else None
    found: Json | None = json.decode(bytes(text)) if text is not None else None
    return found


@lru_cache(2000)
def _published(url: str) -> Profile | None:
    """The profile of R4's own StructureDefinition."""
    structure = _published_structure(url)
    return read_profile(structure) if structure is not None else None
