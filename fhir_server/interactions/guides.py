"""The implementation guides and profiles that are stored here, for the CapabilityStatement.

https://hl7.org/fhir/R4/capabilitystatement-definitions.html#CapabilityStatement.rest.resource.supportedProfile
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple
from weakref import WeakKeyDictionary

import msgspec

from fhir_server.context import Context
from fhir_server.definitions import RESOURCE_TYPES
from fhir_server.outcomes import Unavailable
from fhir_server.search.compile import compile
from fhir_server.search.parse import parse
from fhir_server.storage.repository import Repository

MAX_PROFILES = 5_000
MAX_GUIDES = 200
_TOGETHER = 50  # texts that are in memory at once

Profiles = tuple[tuple[str, tuple[str, ...]], ...]


class Guides(NamedTuple):
    """Canonicals of the stored ImplementationGuides, and of the profiles of each resource type."""

    guides: tuple[str, ...] = ()
    profiles: Profiles = ()

    def profiles_of(self, resource_type: str) -> list[str]:
        """The profiles of a type, sorted."""
        return next((list(urls) for name, urls in self.profiles if name == resource_type), [])


class _Head(msgspec.Struct):
    url: str = ""
    version: str = ""
    status: str = ""
    type: str = ""

    @property
    def canonical(self) -> str:
        return f"{self.url}|{self.version}" if self.version else self.url


async def stored_guides(ctx: Context) -> Guides:
    """What is stored now; nothing while the search index is being rebuilt."""
    try:
        guides = await _heads(ctx, "ImplementationGuide", [], MAX_GUIDES)
        return Guides(tuple(sorted(head.canonical for head in guides if head.url)), await _profiles(ctx))
    except Unavailable:
        return Guides()


_known: WeakKeyDictionary[Repository, tuple[int, str, Profiles]] = WeakKeyDictionary()


async def _profiles(ctx: Context) -> Profiles:
    """The profiles by type, looked for anew when a definition has changed."""
    generation, caller = await ctx.repository.definitions_generation(), ctx.principal.fingerprint()
    known = _known.get(ctx.repository)
    if known is None or known[:2] != (generation, caller):
        criteria = [("derivation", "constraint"), ("kind", "resource"), ("status", "active,draft")]
        heads = await _heads(ctx, "StructureDefinition", criteria, MAX_PROFILES)
        known = _known[ctx.repository] = generation, caller, _by_type(heads)
    return known[2]


def _by_type(heads: Iterable[_Head]) -> Profiles:
    found: dict[str, set[str]] = defaultdict(set)
    for head in heads:
        if head.type in RESOURCE_TYPES and head.url:
            found[head.type].add(head.url)
    return tuple((name, tuple(sorted(urls))) for name, urls in sorted(found.items()))


async def _heads(ctx: Context, resource_type: str, criteria: list[tuple[str, str]], limit: int) -> list[_Head]:
    asked = compile(parse(resource_type, criteria, base_url=ctx.base_url))
    keys = await ctx.repository.ids(ctx.principal, asked.filter, limit=limit)
    heads: list[_Head] = []
    for start in range(0, len(keys), _TOGETHER):
        stored = await ctx.repository.read_many(ctx.principal, keys[start : start + _TOGETHER])
        heads += (msgspec.json.decode(one.text, type=_Head) for one in stored.values() if not one.deleted)
    return heads
