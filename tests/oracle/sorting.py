"""The order of _sort: https://hl7.org/fhir/R4/search.html#sort

The text leaves much to the server; what is checked here: resources with a value come before those without, and of
several values the one that comes earliest in the order counts.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from itertools import pairwise
from typing import Any

from tests.oracle.oracle import Oracle
from tests.oracle.query import NotASearch

Key = tuple[int, Any]
MISSING: Key = (1, 0)

_COMPARED: dict[str, Callable[[Any], Any]] = {
    "string": lambda value: value.folded,
    "token": lambda value: value.code.casefold(),
    "date": lambda value: value.start,
    "number": lambda value: value.low,
    "quantity": lambda value: value.low,
    "uri": lambda value: value.value,
    "reference": lambda value: value.local or value.url,
}


def sort_values(oracle: Oracle, type_name: str, code: str, descending: bool) -> dict[str, Any]:
    """Resource → the value that it is sorted by; resources without one are left out."""
    parameter = oracle.parameter(type_name, code)
    if parameter.type not in _COMPARED:
        raise NotASearch(f"sorting by a {parameter.type}")
    compared = _COMPARED[parameter.type]
    best: dict[str, Any] = {}
    by_value: list[tuple[Any, Hashable]] = [
        (compared(each), each) for each in oracle.index(type_name, parameter).values
    ]
    for value, held in sorted(by_value, key=lambda pair: pair[0], reverse=descending):
        for key in oracle.index(type_name, parameter).values[held]:
            best.setdefault(key, value)
    return best


def out_of_order(oracle: Oracle, type_name: str, sort: str, keys: Sequence[str]) -> tuple[str, str] | None:
    """The first two neighbours in `keys` that `_sort=sort` would put the other way round; ties are free."""
    rules = []
    for rule in sort.split(","):
        descending = rule.startswith("-")
        rules.append((sort_values(oracle, type_name, rule.removeprefix("-"), descending), descending))
    for one, other in pairwise(keys):
        for best, descending in rules:
            first, second = best.get(one), best.get(other)
            if first == second:
                continue
            if first is None or (second is not None and (first < second) == descending):
                return one, other
            break
    return None
