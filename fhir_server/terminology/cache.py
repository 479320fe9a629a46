"""Parsed resources, so that an unchanged code system is not decoded for each search."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar
from weakref import WeakKeyDictionary

from fhir_server.storage.repository import Repository
from fhir_server.storage.stored import Stored

Parsed = TypeVar("Parsed")

CAPACITY = 32 * 1024 * 1024  # characters of JSON that the kept resources had together


class Cache:
    """What was parsed from one exact version of a resource; the longest unused goes first.

    Nothing is found here before the caller's own read of the resource, which says the current version and checks
    that the caller may see it.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._size = 0
        self._kept: OrderedDict[tuple[str, int, int], tuple[object, int]] = OrderedDict()

    def parsed(self, stored: Stored, parse: Callable[[str], Parsed]) -> Parsed:
        """`parse` of the resource's text, which is called only for a version that is not kept."""
        key = (stored.key, stored.version, stored.updated)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key][0]  # type: ignore[return-value]
        value = parse(stored.text)
        self._kept[key] = value, len(stored.text)
        self._size += len(stored.text)
        while self._size > self._capacity:
            _, (_, size) = self._kept.popitem(last=False)
            self._size -= size
        return value


_caches: WeakKeyDictionary[Repository, Cache] = WeakKeyDictionary()


def cache_of(repository: Repository) -> Cache:
    """The one cache of a repository."""
    return _caches.setdefault(repository, Cache())
