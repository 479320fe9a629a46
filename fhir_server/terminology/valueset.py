"""A value set's definition becomes its codes: https://hl7.org/fhir/R4/valueset.html#expansion"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from fhir_server import json
from fhir_server.access import Principal
from fhir_server.outcomes import FhirError, NotSupported, TooCostly
from fhir_server.storage.concepts import words
from fhir_server.storage.repository import Repository
from fhir_server.terminology.codesystem import Concept
from fhir_server.terminology.effort import LOOK_UP, MAX_CODES, Effort
from fhir_server.terminology.expansion import ExpandRequest, Expansion, Member, Members
from fhir_server.terminology.judge import Judge, answers, complete, entered
from fhir_server.terminology.listed import begin
from fhir_server.terminology.resolve import Found, Resolver, canonical, read_value_set
from fhir_server.terminology.resources import Compose, ConceptReference, Include, StoredExpansion, ValueSetResource
from fhir_server.terminology.rows import Rows
from fhir_server.terminology.system import Selection, System, Want
from fhir_server.terminology.versions import Versions

Json = dict[str, Any]

MAX_WORDS = 10  # that are searched for
_PLAIN = ExpandRequest()


async def expand(
    repository: Repository,
    principal: Principal,
    base_url: str,
    value_set: str | Json,
    request: ExpandRequest = _PLAIN,
) -> Expansion:
    """The codes of the value set at `ValueSet/id`, its URL on this server, its canonical `url|version`, or as sent.

    Raises Invalid (400, not-found) for a value set and NotSupported (400) for a code system that is not here, each
    named, and TooCostly (400) beyond MAX_CODES, unless a page of one large code system is all that is asked for.
    """
    resolver = Resolver(repository, principal, base_url, request.date)
    if isinstance(value_set, str):
        name = value_set
        if request.value_set_version and "|" not in name:
            name = f"{name}|{request.value_set_version}"
        found = await resolver.value_set(name)
    else:
        name, found = "sent with the request", Found(read_value_set(json.encode(value_set).decode()))
    key = principal.fingerprint(), name, replace(request, offset=0, count=None)
    era = await resolver.era()
    page = None if isinstance(value_set, dict) else era.expansions.get(key)
    if page is None:
        expander = Expander(resolver, request)
        direct = await expander.page(found.definition)
        if direct is None:
            whole = await expander.whole(found.definition, name)
            if isinstance(value_set, str):
                era.expansions.put(key, whole, len(whole.members) + 1)
            page = _cut(whole, request)
        else:
            page = direct
    else:
        page = _cut(page, request)
    page.request = request
    page.resource = value_set if isinstance(value_set, dict) else await resolver.value_set_json(found)
    if request.include_designations or request.designation or request.display_language:
        await _supplement(resolver, page)
    return page


async def codes_in(
    repository: Repository, principal: Principal, base_url: str, value_set: str
) -> frozenset[tuple[str, str]]:
    """(system, code) of everything in the value set, inactive and abstract codes included; raises as `expand` does.

    https://hl7.org/fhir/R4/search.html#token, `:in`
    """
    expansion = await expand(repository, principal, base_url, value_set)
    return frozenset(expansion.members)


def _cut(whole: Expansion, request: ExpandRequest) -> Expansion:
    """The page of an expansion; the whole stays as it is."""
    members = whole.members
    if request.offset or request.count is not None:
        end = None if request.count is None else request.offset + request.count
        members = dict(list(members.items())[request.offset : end])
    return replace(whole, members=dict(members), used=dict(whole.used))


async def _supplement(resolver: Resolver, page: Expansion) -> None:
    """Add the designations that supplements of the code systems have."""
    for url in {system for system, _ in page.members}:
        for supplement in await resolver.supplements(url):
            page.used[canonical(supplement.url, supplement.version)] = None
            for key, member in page.members.items():
                more = supplement.concepts.get(key[1]) if key[0] == url else None
                if more is not None and more.designations:
                    page.members[key] = replace(member, designations=(*member.designations, *more.designations))


class Expander:
    """One expansion with all that it imports, each value set worked out once."""

    def __init__(self, resolver: Resolver, request: ExpandRequest) -> None:
        self._resolver, self._request = resolver, request
        self._effort = Effort()
        self._versions = Versions(resolver, request)
        self._judge = Judge(resolver, self._versions, self._effort)
        self._words = tuple(words(request.filter)[:MAX_WORDS])
        self._done: dict[str, Expansion] = {}
        self._looked_up: set[str] = set()  # code systems

    async def page(self, value_set: ValueSetResource) -> Expansion | None:
        """Just the page, where it is one stretch of one code system in the database; None for anything else."""
        include = _only(value_set)
        count = self._request.count
        if include is None or include.system in self._request.exclude_system:
            return None
        assert value_set.compose is not None
        system = await self._versions.known(include.system, include.version, value_set.compose.locked_date)
        if not isinstance(system, Rows) or (include.filter and include.filter[0].op == "answers-of"):
            return None
        system.check_listed()
        want = replace(self._want(value_set.compose), offset=self._request.offset)
        if count is None:
            found = await self._all(system, include, want)
        else:
            found = await system.select(include.filter, self._effort, replace(want, limit=min(count, MAX_CODES)))
        limited = len(found.concepts) > MAX_CODES
        expansion = self._selected(system, Selection(found.concepts[:MAX_CODES], found.total))
        expansion.total, expansion.limited = found.total, limited
        return expansion

    async def whole(self, value_set: ValueSetResource, reference: str) -> Expansion:
        """Everything that fits the request, up to MAX_CODES."""
        found = await self._evaluate(value_set, entered(value_set, reference, ()))
        request = self._request
        members = {
            key: member
            for key, member in found.members.items()
            if not (request.active_only and member.inactive)
            and not (request.exclude_not_for_ui and member.abstract)
            and key[0] not in request.exclude_system
        }
        if self._words:
            members = dict(sorted(members.items(), key=lambda pair: _distance(pair[1], request.filter)))
        return replace(found, members=members, total=len(members))

    async def expand(self, reference: str, within: tuple[str, ...]) -> Expansion:
        """`within` names the value sets that led here."""
        if reference not in self._done:
            value_set = (await self._resolver.value_set(reference)).definition
            self._done[reference] = await self._evaluate(value_set, entered(value_set, reference, within))
        return self._done[reference]

    async def _evaluate(self, value_set: ValueSetResource, within: tuple[str, ...]) -> Expansion:
        if value_set.compose is not None:
            try:
                return await self._compose(value_set.compose, within)
            except FhirError as refusal:
                # Somebody with the code systems has worked it out before, and sent the outcome along.
                if value_set.expansion is None or not isinstance(refusal, NotSupported):
                    raise
        if value_set.expansion is not None:
            return self._stored(value_set.expansion, within[-1])
        raise NotSupported(f"Value set {within[-1]} has no content logical definition (compose) and no expansion.")

    def _stored(self, expansion: StoredExpansion, name: str) -> Expansion:
        members: Members = {}
        for one in complete(expansion, name):
            designations = tuple(each.read() for each in one.designation)
            member = Member(one.system, one.code, one.display, one.abstract, one.inactive, designations)
            if self._named(member):
                members[one.system, one.code] = member
        return self._bounded(Expansion(members))

    async def _compose(self, compose: Compose, within: tuple[str, ...]) -> Expansion:
        whole = Expansion()
        for include in compose.include:
            selected = await self._select(include, compose, within)
            for key, member in selected.members.items():
                whole.members.setdefault(key, member)
            whole.partial.update(selected.partial)
            whole.used.update(selected.used)
            whole.limited |= selected.limited
            self._bounded(whole)
        for exclude in compose.exclude:
            found = await self._judge.include(exclude, list(whole.members), within, compose.locked_date)
            for key in found.check():
                del whole.members[key]
        if compose.inactive is False:
            whole.members = {key: member for key, member in whole.members.items() if not member.inactive}
        return whole

    async def _select(self, include: Include, compose: Compose, within: tuple[str, ...]) -> Expansion:
        """What meets all conditions of an include: the first condition listed, and judged by the others."""
        imported = [reference for reference in include.value_set if reference]
        if include.system:
            if include.system in self._request.exclude_system:
                return Expansion()
            selected = await self._of_system(include, compose)
        elif imported:
            first = await self.expand(imported.pop(0), within)
            self._effort.spend(len(first.members) + 1)
            selected = replace(first, members=dict(first.members), partial=dict(first.partial))
        else:
            return Expansion()
        for reference in imported:
            kept = (await self._judge.value_set(reference, list(selected.members), within)).check()
            selected.members = {key: member for key, member in selected.members.items() if key in kept}
        return selected

    async def _of_system(self, include: Include, compose: Compose) -> Expansion:
        if include.concept:
            return await self._listed(include, include.concept, compose.locked_date)
        self._effort.spend(self._first(include.system))
        system = await self._versions.listed(include.system, include.version, compose.locked_date)
        await asyncio.sleep(0)  # other requests go on between one long computation and the next
        if include.filter and include.filter[0].op == "answers-of":
            listed = [ConceptReference(code) for code in await answers(system, include.filter[0])]
            return await self._listed(include, listed, compose.locked_date)
        return self._bounded(self._selected(system, await self._all(system, include, self._want(compose))))

    async def _all(self, system: System, include: Include, want: Want) -> Selection:
        """Everything that fits, one more than may be at most; what a database has is counted before it is fetched."""
        if isinstance(system, Rows) and not self._request.limited:
            counted = await system.select(include.filter, self._effort, replace(want, limit=0))
            if counted.total > MAX_CODES:
                raise self._too_many()
        return await system.select(include.filter, self._effort, replace(want, limit=MAX_CODES + 1))

    def _want(self, compose: Compose) -> Want:
        active = compose.inactive is False or bool(self._request.active_only)
        return Want(self._words, active, bool(self._request.exclude_not_for_ui))

    def _selected(self, system: System, found: Selection) -> Expansion:
        members = {(system.url, one.code): _member(system.url, one) for one in found.concepts}
        partial = {system.url: None} if system.is_partial else {}
        return Expansion(members, dict(partial), {canonical(system.url, system.version): None})

    async def _listed(self, include: Include, listed: Iterable[ConceptReference], as_of: str) -> Expansion:
        """Codes given one by one need no code system; what it says of them is taken where it is known."""
        listed = list(listed)
        self._effort.spend(len(listed) + self._first(include.system))
        system = await self._versions.known(include.system, include.version, as_of)
        concepts = await system.many([one.code for one in listed]) if system is not None else {}
        members: Members = {}
        for one in listed:
            own = tuple(each.read() for each in one.designation)
            concept = concepts.get(one.code)
            if concept is None:
                member = Member(include.system, one.code, one.display, designations=own)
            else:
                member = _member(include.system, concept, one.display)
                member = replace(member, designations=(*own, *member.designations)) if own else member
            if one.code and self._named(member):
                members.setdefault((include.system, one.code), member)
        used = {canonical(system.url, system.version): None} if system is not None and concepts else {}
        return self._bounded(Expansion(members, used=used))

    def _first(self, system: str) -> int:
        """The effort of looking up a code system, which is made once."""
        known = system in self._looked_up
        self._looked_up.add(system)
        return 0 if known else LOOK_UP

    def _named(self, member: Member) -> bool:
        """Whether it has the words that are searched for."""
        if not self._words:
            return True
        texts = (member.display, *(one.value for one in member.designations))
        return begin(self._words, [word for text in texts for word in words(text)])

    def _bounded(self, expansion: Expansion) -> Expansion:
        if len(expansion.members) > MAX_CODES:
            if not self._request.limited:
                raise self._too_many()
            expansion.members = dict(list(expansion.members.items())[:MAX_CODES])
            expansion.limited = True
        return expansion

    def _too_many(self) -> FhirError:
        return TooCostly(f"The value set has more than {MAX_CODES} codes; ask for a part of it (count, filter).")


def _distance(member: Member, text: str) -> int:
    """How far a code is from what was typed: 0 it is that, 1 it begins so, 2 it has the words."""
    typed = text.strip().casefold()
    names = (member.code.casefold(), member.display.casefold())
    return 0 if typed in names else 1 if any(name.startswith(typed) for name in names) else 2


def _only(value_set: ValueSetResource) -> Include | None:
    """The one include that selects of one code system by filters, with nothing beside it."""
    compose = value_set.compose
    if compose is None or len(compose.include) != 1 or compose.exclude:
        return None
    include = compose.include[0]
    alone = include.system and not include.concept and not any(include.value_set)
    return include if alone else None


def _member(system: str, concept: Concept, display: str = "") -> Member:
    return Member(
        system, concept.code, display or concept.display, concept.abstract, concept.inactive, concept.designations
    )
