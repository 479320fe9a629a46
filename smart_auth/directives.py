"""The Consents in force, as one process keeps them for all of its callers.

Those that deny concern everybody, and are kept whole; those that only permit are looked up for whom they name. What
denies without naming anybody is compiled once for all. https://hl7.org/fhir/R4/consent.html
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from typing import Any

from fhir_server.access.consents import Caller, Rule, compile_consents, emergencies, next_change, panel_of
from fhir_server.access.principal import SYSTEM
from fhir_server.search.compile import compile
from fhir_server.search.parse import conditional
from fhir_server.search.types.reference import local
from fhir_server.storage.repository import Repository
from fhir_server.storage.stored import Stored

Json = dict[str, Any]

_PAGE = 500
# Stamps are made before a flush is committed: one that is read late may be this much older (microseconds).
_LATE = 300 * 1_000_000


@dataclass(frozen=True, slots=True)
class Said:
    """What the Consents say to one caller; `until` is in microseconds since 1970."""

    rules: tuple[Rule, ...] = ()
    panel: tuple[tuple[str, str], ...] = ()  # patient, level
    emergency: frozenset[str] = frozenset()
    until: float = inf


@dataclass(frozen=True, slots=True)
class _Directive:
    denies: Json | None  # the Consent itself, when it may deny anything
    names: frozenset[str]  # actors: "Type/id", and what clients are identified by


class Directives:
    """The active Consents of the database; read anew when one has changed."""

    def __init__(self, repository: Repository, base_url: str) -> None:
        self._repository = repository
        self._base_url = base_url
        self._reading = asyncio.Lock()
        self._generation = -1
        self._known: dict[str, _Directive] = {}
        self._naming: dict[str, set[str]] = {}
        self._latest = 0  # stamp of the latest Consent that was read
        self._general: tuple[Rule, ...] = ()
        self._aimless: tuple[Rule, ...] = ()  # for those who say no purpose: backend services
        self._until = -inf  # of what is compiled, microseconds

    async def say(self, caller: Caller, user: str, generation: int, now: int) -> Said:
        """What the Consents of a generation (`Changes.consents`) say to a caller at a moment (microseconds)."""
        moment = datetime.fromtimestamp(now / 1_000_000, UTC)
        async with self._reading:
            if self._generation != generation:
                # Until it is read, nothing is known.
                before, self._generation = self._generation, -1
                await self._follow(afresh=before < 0)
                self._generation, self._until = generation, -inf
            if now >= self._until:
                self._compile(moment)
            particular = [one.denies for one in self._known.values() if one.denies is not None and one.names]
            general, until = self._general if caller.purpose else self._aimless, self._until
            names = {*caller.names, caller.client} - {""}
            wanted = sorted({id_ for name in names for id_ in self._naming.get(name, ())})
        found = await self._repository.read_many(SYSTEM, wanted)
        permitting = [stored.resource() for stored in found.values() if not stored.deleted]
        resources = [*particular, *permitting]
        if not resources:
            return Said(general, until=until)
        change = next_change(permitting, moment)
        return Said(
            general + compile_consents(resources, caller, moment, base_url=self._base_url),
            tuple(panel_of(resources, caller, moment, base_url=self._base_url).items()),
            emergencies(resources, user, moment, base_url=self._base_url),
            min(until, change.timestamp() * 1_000_000 if change is not None else inf),
        )

    def _compile(self, moment: datetime) -> None:
        denying = [one.denies for one in self._known.values() if one.denies is not None]
        general = [one.denies for one in self._known.values() if one.denies is not None and not one.names]
        # They name nobody: any caller will do.
        self._general = compile_consents(general, Caller(), moment, base_url=self._base_url)
        self._aimless = compile_consents(general, Caller(purpose=""), moment, base_url=self._base_url)
        change = next_change(denying, moment)
        self._until = change.timestamp() * 1_000_000 if change is not None else inf

    # ---- reading -------------------------------------------------------------------------------------

    async def _follow(self, *, afresh: bool) -> None:
        """Know the Consents of now: those that were written of late, or all when that does not account for them."""
        if not afresh:
            late = {"$and": [{"ty": "Consent"}, {"u": {"$gt": self._latest - _LATE}}]}
            found = await self._repository.find(SYSTEM, late, sort=(("u", -1),), limit=_PAGE)
            if len(found) < _PAGE and not found.cut:
                self._learn(found)
                if await self._repository.count(SYSTEM, self._active()) == len(self._known):
                    return
        self._known, self._naming = {}, {}
        last: int | None = None
        while True:
            after = {"$and": [self._active(), {"t": {"$lte": last}}]} if last is not None else self._active()
            found = await self._repository.find(SYSTEM, after, sort=(("t", -1),), limit=_PAGE)
            new = [stored for stored in found if stored.key not in self._known]
            if not new:
                return
            self._learn(new)
            last = new[-1].created

    def _active(self) -> Json:
        return compile(conditional("Consent", "status=active", self._base_url)).filter

    def _learn(self, found: Iterable[Stored]) -> None:
        for stored in found:
            self._latest = max(self._latest, stored.updated)
            if (before := self._known.pop(stored.key, None)) is not None:
                for name in before.names:
                    self._naming.get(name, set()).discard(stored.key)
            resource = stored.resource()
            if resource.get("status") == "active":
                self._keep(stored.key, resource)

    def _keep(self, key: str, resource: Json) -> None:
        names = frozenset(self._actors(resource))
        directive = _Directive(resource if _may_deny(resource) else None, names)
        self._known[key] = directive
        if directive.denies is None:
            for name in names:
                self._naming.setdefault(name, set()).add(key)

    def _actors(self, resource: Json) -> Iterator[str]:
        """Everybody whom the Consent names, as far as this server can tell them; "" for the others."""
        for provision in _provisions(resource):
            for actor in provision.get("actor", ()):
                who = actor.get("reference", {})
                here = local(who.get("reference", ""), f"{self._base_url}/")
                yield here[0] if here is not None else who.get("identifier", {}).get("value", "")


def _provisions(resource: Json) -> Iterator[Json]:
    waiting = [resource.get("provision", {})]
    while waiting:
        one = waiting.pop()
        yield one
        waiting += one.get("provision", ())


def _may_deny(resource: Json) -> bool:
    """Whether it might, at most: what a policy's code means is for `access.consents` to say."""
    codings = resource.get("policyRule", {}).get("coding", ())
    ruled = any(not str(one.get("code")).startswith("OPTIN") for one in codings)
    return ruled or any(one.get("type") == "deny" for one in _provisions(resource))
