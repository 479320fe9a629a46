"""What `_include` and `_revinclude` bring along, read from the keys stored beside the matches.

https://hl7.org/fhir/R4/search.html#include: no resource is parsed, and each look-up is one of the caller's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from fhir_server.definitions import RESOURCE_TYPES
from fhir_server.search.canonical import url_number
from fhir_server.search.fields import fields
from fhir_server.search.keys import MAX_KEY
from fhir_server.search.query import Include
from fhir_server.search.types.reference import names_one

Document = dict[str, Any]

MAX_KEYS = 20_000  # of one filter, some 2 MB


class Row(Protocol):
    """A match with its search keys: storage's Stored."""

    type: str
    keys: list[str] | None

    @property
    def key(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the matches refer to: resources by "Type/id", and canonical URLs by the types that may have them."""

    ids: tuple[str, ...]
    canonicals: tuple[tuple[str, str], ...]  # (resource type, url)


def wanted(includes: Iterable[Include], rows: Sequence[Row]) -> Wanted:
    """The targets of these includes, in order of the matches, each once."""
    ids: dict[str, None] = {}
    canonicals: dict[tuple[str, str], None] = {}
    prefixes = [(one.source, tuple(_prefixes(one))) for one in includes]
    for row in rows:
        for source, limits in prefixes:
            if row.type != source:
                continue
            for prefix, targets in limits:
                for key in row.keys or ():
                    if key.startswith(prefix):
                        _sort_out(key[len(prefix) :], targets, ids, canonicals)
    return Wanted(tuple(ids), tuple(canonicals))


def _prefixes(one: Include) -> Iterator[tuple[str, frozenset[str]]]:
    """The beginnings of the keys to follow, with the types wanted at their end."""
    by_code = fields(one.source)
    for parameter in one.parameters:
        field = by_code.get(parameter.code)
        for source in field.sources if field is not None else ():
            targets = {source.target} if source.target else set(parameter.targets) or set(RESOURCE_TYPES)
            if one.target:
                targets &= {one.target}
            yield f"{source.number}>", frozenset(targets)


def _sort_out(
    reference: str, targets: frozenset[str], ids: dict[str, None], canonicals: dict[tuple[str, str], None]
) -> None:
    if ":" in reference:
        if len(reference) < MAX_KEY - 4:
            canonicals.update(((target, reference), None) for target in sorted(targets) if url_number(target))
    elif reference.partition("/")[0] in targets and names_one(reference):
        ids[reference] = None


def canonical_filter(canonicals: Iterable[tuple[str, str]]) -> Document:
    """The MongoDB filter of resources with these canonical URLs."""
    keys = [f"{url_number(type_name)}={url}" for type_name, url in canonicals]
    return {"k": {"$in": keys}}


def _urls(row: Row) -> Iterator[str]:
    """The canonical URLs that this match is referred to by."""
    if number := url_number(row.type):
        opening = f"{number}="
        yield from (key[len(opening) :] for key in row.keys or () if key.startswith(opening))


def referring_filters(revincludes: Iterable[Include], rows: Sequence[Row]) -> Iterator[Document]:
    """The MongoDB filters of resources that refer to these matches, none of them with very many keys."""
    by_target: dict[str, dict[str, None]] = {}
    for one in revincludes:
        for prefix, targets in _prefixes(one):
            for target in targets:
                by_target.setdefault(target, {})[prefix] = None
    keys: list[str] = []
    for row in rows:
        for prefix in by_target.get(row.type, ()):
            keys.append(prefix + row.key)
            keys += [prefix + url for url in _urls(row)]
            if len(keys) >= MAX_KEYS:
                yield {"k": {"$in": keys}}
                keys = []
    if keys:
        yield {"k": {"$in": keys}}
