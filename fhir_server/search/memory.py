"""The filters of `compile`, judged in Python: so that a Bundle's conditions see its own pending writes.

Exactly the operators that `compile` uses, with MongoDB's meaning: a condition on an array holds when it holds for
any element, and null stands for what is missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from fhir_server.search.keys import Circle
from fhir_server.search.types.special import EARTH, distance

Document = Mapping[str, Any]

_LOGICAL = frozenset({"$and", "$or", "$nor"})


def matches(filter: Document, document: Document) -> bool:
    """Whether the stored document (the envelope of a resource) fits the filter; KeyError for other operators."""
    return all(_holds(name, wanted, document) for name, wanted in filter.items())


def _holds(name: str, wanted: Any, document: Document) -> bool:
    match name:
        case "$and":
            return all(matches(one, document) for one in wanted)
        case "$or":
            return any(matches(one, document) for one in wanted)
        case "$nor":
            return not any(matches(one, document) for one in wanted)
    values = list(_values(document, name))
    if isinstance(wanted, Mapping):
        return all(_operators(operator, operand, values) for operator, operand in wanted.items())
    return _equals(wanted, values)


def _values(document: Any, path: str) -> Iterator[Any]:
    """What a dotted path leads to: one value, or nothing; an array on the way stands for its elements."""
    head, _, rest = path.partition(".")
    if isinstance(document, list):
        for item in document:
            yield from _values(item, path)
    elif isinstance(document, Mapping) and head in document:
        if rest:
            yield from _values(document[head], rest)
        else:
            yield document[head]


def _operators(operator: str, operand: Any, values: list[Any]) -> bool:
    match operator:
        case "$in":
            return any(_equals(one, values) for one in operand)
        case "$nin":
            return not any(_equals(one, values) for one in operand)
        case "$ne":
            return not _equals(operand, values)
        case "$not":
            return not all(_operators(name, inner, values) for name, inner in operand.items())
        case "$exists":
            return bool(values) is operand
        case "$geoWithin":
            (longitude, latitude), radius = operand["$centerSphere"]
            circle = Circle(latitude, longitude, radius * EARTH)
            return any(distance(circle, value) <= circle.metres for value in values)
        case "$elemMatch":
            return any(_element(operand, item) for value in values if isinstance(value, list) for item in value)
    compare = _COMPARISONS[operator]
    return any(compare(item, operand) for item in _items(values))


def _items(values: list[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list):
            yield from value
        else:
            yield value


def _equals(wanted: Any, values: list[Any]) -> bool:
    if wanted is None:
        return not values or any(item is None for item in _items(values))
    return any(_same_kind(item, wanted) and item == wanted for item in _items(values))


def _element(conditions: Document, item: Any) -> bool:
    if conditions.keys().isdisjoint(_LOGICAL) and any(name.startswith("$") for name in conditions):
        return all(_operators(name, operand, [item]) for name, operand in conditions.items())
    return isinstance(item, Mapping) and matches(conditions, item)


def _same_kind(a: Any, b: Any) -> bool:
    return isinstance(a, str) == isinstance(b, str) and a is not None and b is not None


def _ordered(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    # MongoDB compares strings by their UTF-8 bytes, which is the order of code points: Python's own.
    return lambda item, limit: _same_kind(item, limit) and test(item, limit)


@lru_cache(256)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.DOTALL)


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "$gt": _ordered(lambda a, b: a > b),
    "$gte": _ordered(lambda a, b: a >= b),
    "$lt": _ordered(lambda a, b: a < b),
    "$lte": _ordered(lambda a, b: a <= b),
    "$regex": lambda item, pattern: isinstance(item, str) and _pattern(pattern).search(item) is not None,
}
