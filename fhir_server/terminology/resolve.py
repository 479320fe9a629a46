"""Canonical URLs and references → code systems and value sets: stored ones first, then those published with R4.

https://hl7.org/fhir/R4/references.html#canonical
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

import msgspec

from fhir_server import definitions
from fhir_server.access import Principal
from fhir_server.outcomes import FhirError, Invalid, NotSupported
from fhir_server.search.compile import compile
from fhir_server.search.parse import parse
from fhir_server.storage.repository import Repository
from fhir_server.storage.stored import Stored
from fhir_server.terminology.cache import cache_of
from fhir_server.terminology.codesystem import CodeSystem
from fhir_server.terminology.resources import CodeSystemResource, ValueSetResource, decode

MAX_VERSIONS = 20  # of one canonical URL that are compared for the latest
MAX_NAME = 200  # characters of a URL that are repeated in a message

Parsed = TypeVar("Parsed", CodeSystem, ValueSetResource)
Rank = tuple[bool, tuple[tuple[int, str], ...], int]


class Resolver:
    """Code systems and value sets as one caller sees them; each is read once in the life of a resolver."""

    def __init__(self, repository: Repository, principal: Principal, base_url: str) -> None:
        self._repository = repository
        self._principal = principal
        self._base_url = base_url
        self._cache = cache_of(repository)
        self._systems: dict[tuple[str, str], CodeSystem | None] = {}

    async def code_system(self, url: str, version: str = "") -> CodeSystem:
        """The code system with its concepts; `version` "*" is any.

        Raises NotSupported (400), naming it, when this server does not have its codes.
        """
        found = await self.known_code_system(url, version)
        if found is None:
            raise NotSupported(f"Code system {_canonical(url, version)[:MAX_NAME]} is not known to this server.")
        found.check_listed()
        return found

    async def known_code_system(self, url: str, version: str = "") -> CodeSystem | None:
        """What is known of a code system, perhaps not its codes; None when nothing is."""
        wanted = "" if version == "*" else version
        key = url, wanted
        if key not in self._systems:
            stored = await self._stored("CodeSystem", url, wanted, _code_system)
            self._systems[key] = stored or _fitting(published_code_system(url), wanted)
        return self._systems[key]

    async def value_set(self, reference: str) -> ValueSetResource:
        """The value set that a reference means: read literally where that leads to one, else as a canonical URL.

        https://hl7.org/fhir/R4/search.html#token, `:in`. Raises Invalid (400, not-found), naming it.
        """
        literal = re.fullmatch(r"ValueSet/([A-Za-z0-9.\-]{1,64})", reference.removeprefix(f"{self._base_url}/"))
        if literal:
            stored = await self._repository.read(self._principal, "ValueSet", literal[1])
            if stored is not None and not stored.deleted:
                return self._cache.parsed(stored, _value_set)
        url, _, version = reference.partition("|")
        found = await self._stored("ValueSet", url, version, _value_set)
        found = found or _fitting(published_value_set(url), version)
        if found is None:
            raise _unknown(reference)
        return found

    async def _stored(self, kind: str, url: str, version: str, read: Callable[[str], Parsed]) -> Parsed | None:
        """The stored resource of this canonical URL, the best one when there are several."""
        if not url:
            return None
        pairs = [("url", _escaped(url))] + ([("version", _escaped(version))] if version else [])
        asked = compile(parse(kind, pairs, base_url=self._base_url))
        found = await self._repository.find(self._principal, asked.filter, sort=asked.sort, limit=MAX_VERSIONS)
        best: tuple[Rank, Parsed] | None = None
        for stored in found:
            one = self._cache.parsed(stored, read)
            if one.url == url and version in ("", one.version):
                rank = _rank(one, stored)
                best = (rank, one) if best is None or rank > best[0] else best
        return best[1] if best else None


def _unknown(reference: str) -> FhirError:
    return Invalid(f"Value set {reference[:MAX_NAME]} is not known to this server.", code="not-found")


def _rank(one: CodeSystem | ValueSetResource, stored: Stored) -> Rank:
    """Active before others, then the latest by its version ("2.10" after "2.9", "3" after "3-beta"), then by change."""
    parts = re.findall(r"[0-9]+|[^0-9.]+", one.version[:64])
    version = [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
    return one.status == "active", (*version, (0, "")), stored.updated


def _fitting(found: Parsed | None, version: str) -> Parsed | None:
    return found if found is not None and version in ("", found.version) else None


def _escaped(text: str) -> str:
    return re.sub(r"([\\,$|])", r"\\\1", text)


def _canonical(url: str, version: str) -> str:
    return f"{url}|{version}" if version else url


def _code_system(text: str | msgspec.Raw) -> CodeSystem:
    return CodeSystem(decode(text, CodeSystemResource, "a code system"))


def _value_set(text: str | msgspec.Raw) -> ValueSetResource:
    return decode(text, ValueSetResource, "a value set")


@lru_cache(maxsize=64)
def published_code_system(url: str) -> CodeSystem | None:
    """A code system of R4, v2 or v3 as HL7 published it."""
    text = definitions.code_system(url)
    return None if text is None else _code_system(text)


@lru_cache(maxsize=256)
def published_value_set(url: str) -> ValueSetResource | None:
    """A value set of R4, v2 or v3 as HL7 published it."""
    text = definitions.value_set(url)
    return None if text is None else _value_set(text)
