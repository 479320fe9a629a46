"""The parameters that shape a result: https://hl7.org/fhir/R4/search.html#return."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import cast

from fhir_server.definitions import RESOURCE_TYPES
from fhir_server.outcomes import Invalid, NotSupported
from fhir_server.search.fields import fields
from fhir_server.search.query import Contained, ContainedType, Include, Query, Sort, Total
from fhir_server.search.registry import SearchParameter, parameters
from fhir_server.search.restrictions import incomplete

# Not part of the search: the form of the answer, and a value that some clients add to evade caches.
UNSEEN = frozenset({"_", "_format", "_pretty"})
_SUMMARIES = ("true", "text", "data", "count", "false")
_TOTALS = ("none", "estimate", "accurate")
_ELEMENT = re.compile(r"[A-Za-z][A-Za-z0-9.]{0,127}(\[x\])?", re.ASCII)
# One value shapes the answer, so a second one that differs is a contradiction.
_SINGLE = frozenset({"__explain", "_contained", "_containedType", "_count", "_cursor", "_summary", "_total"})
MAX_SORT_KEYS = 8
MAX_INCLUDES = 50
MAX_ELEMENTS = 500


def once(pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The pairs that a search consists of; Invalid (400) when one that has a single value is given two."""
    given: dict[str, str] = {}
    for name, value in pairs:
        if name in UNSEEN or given.get(name) == value:
            continue
        if name in given:
            raise Invalid(f"Parameter '{name}' is given twice, with different values.")
        if name in _SINGLE:
            given[name] = value
        yield name, value


def read(query: Query, name: str, value: str, max_count: int) -> Query:
    """The query with one of these parameters added; raises Invalid or NotSupported (400)."""
    code, _, modifier = name.partition(":")
    if not value.strip():
        raise Invalid(f"Parameter '{code}' has no value.")
    if modifier in ("iterate", "recurse") and code in ("_include", "_revinclude"):
        return _following(query, code, value)
    if modifier:
        raise Invalid(f"Modifier ':{modifier[:64]}' is not supported for parameter '{code}'.")
    if code == "_count":
        return replace(query, count=min(_count(value), max_count))
    return CONTROLS[code](query, value)


def _count(value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise Invalid("Parameter '_count' is a whole number, 0 or more.")
    return int(value)


def _type(query: Query, value: str) -> Query:
    return query  # read before all others


def _sort(query: Query, value: str) -> Query:
    keys = list(query.sort)
    for part in value.split(","):
        code = part.strip()
        descending = code.startswith("-")
        keys.append(_sort_key(query.types, code.removeprefix("-"), descending))
    if len(keys) > MAX_SORT_KEYS:
        raise Invalid(f"Parameter '_sort' takes up to {MAX_SORT_KEYS} keys.")
    return replace(query, sort=tuple(keys))


def _sort_key(types: tuple[str, ...], code: str, descending: bool) -> Sort:
    if code == "_id":
        return Sort(code, "_id", descending)
    if code == "_lastUpdated":
        return Sort(code, "u", descending)
    if len(types) != 1:
        raise NotSupported("Several resource types together are sorted by _id or _lastUpdated only.")
    field = fields(types[0]).get(code)
    if field is None:
        if code in parameters(types[0]):
            raise NotSupported(f"Sorting by '{code}' is not supported.")
        raise Invalid(f"{types[0]} has no search parameter '{code[:64]}' to sort by.")
    if not field.parameter.complete:
        raise incomplete(field.parameter)
    name = field.descending if descending else field.ascending
    if not name:
        raise NotSupported(f"Sorting by '{code}' is not supported.")
    return Sort(code, f"s.{name}", descending)


def _total(query: Query, value: str) -> Query:
    if value not in _TOTALS:
        raise Invalid(f"Parameter '_total' is one of {', '.join(_TOTALS)}.")
    return replace(query, total=cast(Total, value))


def _summary(query: Query, value: str) -> Query:
    if value not in _SUMMARIES:
        raise Invalid(f"Parameter '_summary' is one of {', '.join(_SUMMARIES)}.")
    return replace(query, summary=None if value == "false" else value)


def _elements(query: Query, value: str) -> Query:
    names = dict.fromkeys((*query.elements, *(name.strip() for name in value.split(","))))
    if not all(_ELEMENT.fullmatch(name) for name in names):
        raise Invalid("Parameter '_elements' is a list of element names.")
    if len(names) > MAX_ELEMENTS:
        raise Invalid(f"Parameter '_elements' takes up to {MAX_ELEMENTS} names.")
    return replace(query, elements=tuple(names))


def _cursor(query: Query, value: str) -> Query:
    return replace(query, cursor=value)


def _include(query: Query, value: str) -> Query:
    found = every_include(query.types) if value == "*" else [_included("_include", value)]
    return replace(query, includes=_each_once((*query.includes, *found)))


def _revinclude(query: Query, value: str) -> Query:
    found = every_include(sorted(RESOURCE_TYPES)) if value == "*" else [_included("_revinclude", value)]
    return replace(query, revincludes=_each_once((*query.revincludes, *found)))


def _following(query: Query, code: str, value: str) -> Query:
    """`:iterate` goes on from what was included, so that every type may be where it starts."""
    if value == "*":
        raise Invalid(f"Parameter '{code}:iterate' names what to follow: Type:parameter.")
    one = replace(_included(code, value), iterate=True)
    if code == "_include":
        return replace(query, includes=_each_once((*query.includes, one)))
    return replace(query, revincludes=_each_once((*query.revincludes, one)))


def _each_once(found: Iterable[Include]) -> tuple[Include, ...]:
    return tuple(dict.fromkeys(found))


def every_include(types: Iterable[str]) -> list[Include]:
    """Every reference of these types."""
    return [Include(one, found) for one in types if (found := _references(one))]


def _contained(query: Query, value: str) -> Query:
    if value not in ("true", "false", "both"):
        raise Invalid("Parameter '_contained' is one of true, false, both.")
    return replace(query, contained=cast(Contained, value))


def _contained_type(query: Query, value: str) -> Query:
    if value not in ("container", "contained"):
        raise Invalid("Parameter '_containedType' is one of container, contained.")
    return replace(query, contained_type=cast(ContainedType, value))


def _explain(query: Query, value: str) -> Query:
    if value not in ("true", "false"):
        raise Invalid("Parameter '__explain' is true or false.")
    return replace(query, explain=value == "true")


def _included(name: str, value: str) -> Include:
    """`Type:parameter`, `Type:parameter:Target` or `Type:*`."""
    source, _, rest = value.partition(":")
    code, _, target = rest.partition(":")
    if source not in RESOURCE_TYPES:
        raise Invalid(f"Parameter '{name}' names no resource type before its colon.")
    if not code:
        raise Invalid(f"Parameter '{name}' has the form Type:parameter or Type:parameter:Target.")
    if target and target not in RESOURCE_TYPES:
        raise Invalid(f"Parameter '{name}' names no resource type as its target.")
    if code == "*":
        return Include(source, _references(source), target)
    parameter = parameters(source).get(code)
    if parameter is None or parameter.type != "reference":
        raise Invalid(f"Parameter '{name}': {source} has no search parameter '{code[:64]}' of type reference.")
    if not parameter.complete:
        raise incomplete(parameter)
    return Include(source, (parameter,), target)


def _references(resource_type: str) -> tuple[SearchParameter, ...]:
    return tuple(p for p in parameters(resource_type).values() if p.type == "reference" and p.complete)


CONTROLS: dict[str, Callable[[Query, str], Query]] = {
    "__explain": _explain,
    "_contained": _contained,
    "_containedType": _contained_type,
    "_count": lambda query, value: query,
    "_cursor": _cursor,
    "_elements": _elements,
    "_include": _include,
    "_revinclude": _revinclude,
    "_sort": _sort,
    "_summary": _summary,
    "_total": _total,
    "_type": _type,
}
