"""Value sets of the required bindings → their codes by system, where the published terminology can list them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

Json = dict[str, Any]
Codes = dict[str, set[str]]


class NotEnumerable(Exception):
    """The codes are not in the published terminology (UCUM, BCP 47, ISO 4217, MIME types, LOINC …)."""


class Terminology:
    """CodeSystems and ValueSets by canonical URL."""

    def __init__(self, resources: Iterable[Json]) -> None:
        self._systems: dict[str, Json] = {}
        self._sets: dict[str, Json] = {}
        for resource in resources:
            found = self._sets if resource["resourceType"] == "ValueSet" else self._systems
            found[resource["url"]] = resource

    def codes(self, url: str) -> Codes:
        """System → codes of this value set; raises NotEnumerable."""
        value_set = self._sets.get(url.partition("|")[0])
        if value_set is None:
            raise NotEnumerable(url)
        result: Codes = {}
        for include in value_set["compose"]["include"]:
            for system, codes in self._selected(include).items():
                result.setdefault(system, set()).update(codes)
        for exclude in value_set["compose"].get("exclude", ()):
            for system, codes in self._selected(exclude).items():
                result.get(system, set()).difference_update(codes)
        return result

    def _selected(self, include: Json) -> Codes:
        if "filter" in include:
            raise NotEnumerable(f"filters on {include['system']}")
        result: Codes | None = None
        if "system" in include:
            listed = include.get("concept") or self._system(include["system"])
            result = {include["system"]: set(_codes(listed))}
        for url in include.get("valueSet", ()):
            other = self.codes(url)
            result = other if result is None else {s: c & other.get(s, set()) for s, c in result.items()}
        return result or {}

    def _system(self, url: str) -> list[Json]:
        system = self._systems.get(url)
        if system is None or system["content"] != "complete":
            raise NotEnumerable(url)
        return list(system["concept"])


def _codes(concepts: Iterable[Json]) -> Iterator[str]:
    for concept in concepts:
        yield concept["code"]
        yield from _codes(concept.get("concept", ()))
