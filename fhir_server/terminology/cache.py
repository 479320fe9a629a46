"""What was parsed and worked out: each exact version of a resource once, and answers until a definition changes."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar, cast
from weakref import WeakKeyDictionary

from fhir_server.storage.concepts import Load
from fhir_server.storage.repository import Repository
from fhir_server.storage.stored import Stored

Parsed = TypeVar("Parsed")
Value = TypeVar("Value")

CAPACITY = 16 * 1024 * 1024  # characters of JSON that the kept resources had together
LONG = 100_000  # characters; parsing more is done beside the event loop
MAX_ANSWERS = 50_000  # memberships
MAX_COUNTS = 5000  # of conditions
MAX_MEMBERS = 100_000  # codes of expansions
MAX_HEADS = 20_000  # canonical URLs that were looked up, those without a resource among them
MAX_CALLERS = 200  # whose systems by value set are remembered
_LONG_KEY = 200  # characters; a key is what callers write, and counts the more the longer it is


class Cache:
    """What was parsed from one exact version of a resource; the longest unused goes first.

    Nothing is found here before the caller's own read of the resource, which says the current version and checks
    that the caller may see it.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._size = 0
        self._kept: OrderedDict[tuple[str, int, int], tuple[object, int]] = OrderedDict()
        self.era = Era(-1)

    def kept(self, stored: Stored) -> Any:
        """What was parsed from this version; None when it is not kept."""
        key = _key(stored)
        if key not in self._kept:
            return None
        self._kept.move_to_end(key)
        return self._kept[key][0]

    async def parsed(self, stored: Stored, parse: Callable[[str], Parsed]) -> Parsed:
        """`parse` of the resource's text, which is called only for a version that is not kept."""
        found = self.kept(stored)
        if found is not None:
            return cast(Parsed, found)
        long = len(stored.text) > LONG
        value = await asyncio.to_thread(parse, stored.text) if long else parse(stored.text)
        self._keep(_key(stored), value, len(stored.text))
        return value

    def _keep(self, key: tuple[str, int, int], value: object, size: int) -> None:
        if key in self._kept:
            return  # somebody else parsed it meanwhile
        self._kept[key] = value, size
        self._size += size
        while self._size > self._capacity:
            _, (_, size) = self._kept.popitem(last=False)
            self._size -= size


class Era:
    """What holds for one generation of the definitions; a new one begins with nothing."""

    def __init__(self, generation: int) -> None:
        self.generation = generation
        self.heads: Kept[Any] = Kept(MAX_HEADS)
        self.loads: dict[str, Load] | None = None
        self.implied: Kept[dict[str, str]] = Kept(MAX_CALLERS)
        self.answers: Kept[Any] = Kept(MAX_ANSWERS)
        self.counts: Kept[int] = Kept(MAX_COUNTS)
        self.expansions: Kept[Any] = Kept(MAX_MEMBERS)


class Kept(Generic[Value]):
    """Values of some size by key, together up to a limit; the longest unused goes first."""

    def __init__(self, limit: int) -> None:
        self._limit, self._size = limit, 0
        self._values: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()

    def get(self, key: Hashable) -> Value | None:
        found = self._values.get(key)
        if found is None:
            return None
        self._values.move_to_end(key)
        return found[0]

    def put(self, key: Hashable, value: Value, size: int = 1) -> None:
        size += len(repr(key)) // _LONG_KEY
        if key in self._values or size > self._limit:
            return
        self._values[key] = value, size
        self._size += size
        while self._size > self._limit:
            _, (_, size) = self._values.popitem(last=False)
            self._size -= size


_caches: WeakKeyDictionary[Repository, Cache] = WeakKeyDictionary()


def cache_of(repository: Repository) -> Cache:
    """The one cache of a repository."""
    return _caches.setdefault(repository, Cache())


async def era_of(repository: Repository) -> Era:
    """What is known of the present generation. Whoever began in an older one goes on writing into that, unseen."""
    cache, generation = cache_of(repository), await repository.definitions_generation()
    if cache.era.generation != generation:
        cache.era = Era(generation)
    return cache.era


def _key(stored: Stored) -> tuple[str, int, int]:
    return stored.key, stored.version, stored.updated
