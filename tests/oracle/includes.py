"""What _include and _revinclude bring: https://hl7.org/fhir/R4/search.html#include"""

from __future__ import annotations

from collections.abc import Iterable

from fhir_server.definitions import SearchParameter
from tests.oracle.oracle import Oracle, Pairs
from tests.oracle.parameters import parameters_of, targets
from tests.oracle.query import NotASearch


def included(oracle: Oracle, matches: Iterable[str], pairs: Pairs) -> set[str]:
    """The keys that come with `matches`, without them; `:iterate` is followed to the end."""
    pairs = list(pairs)
    found = set(matches)
    matched = frozenset(found)
    fresh = found
    first = True
    while fresh:
        brought: set[str] = set()
        for name, value in pairs:
            control, _, modifier = name.partition(":")
            if control in ("_include", "_revinclude") and (first or modifier in ("iterate", "recurse")):
                brought |= (_forward if control == "_include" else _backward)(oracle, fresh, value)
        fresh, first = brought - found, False
        found |= fresh
    return found - matched


def _forward(oracle: Oracle, keys: set[str], value: str) -> set[str]:
    source, code, target = _parts(value)
    brought: set[str] = set()
    for type_name in oracle.types if source == "*" else {source}:
        held = {key for key in keys if key.startswith(f"{type_name}/")}
        for parameter in _references(type_name, code) if held else ():
            brought |= oracle.referred(type_name, parameter, held)
    return {key for key in oracle.targets_exist(brought) if key.startswith(f"{target}/" if target else "")}


def _backward(oracle: Oracle, keys: set[str], value: str) -> set[str]:
    source, code, target = _parts(value)
    wanted = {key for key in keys if key.startswith(f"{target}/" if target else "")}
    brought: set[str] = set()
    for type_name in oracle.types if source == "*" else {source}:
        for parameter in _references(type_name, code):
            held = {key for key in wanted if key.partition("/")[0] in targets(parameter)}
            brought |= oracle.referring(type_name, parameter, held)
    return oracle.targets_exist(brought)


def _parts(value: str) -> tuple[str, str, str]:
    if value == "*":
        return "*", "*", ""
    source, code, target, *rest = [*value.split(":"), "", ""]
    if not code or any(rest):
        raise NotASearch("an include is Type:parameter or Type:parameter:Target")
    return source, code, target


def _references(type_name: str, code: str) -> list[SearchParameter]:
    known = parameters_of(type_name)
    found = [each for each in known.values() if code in ("*", each.code) and each.type == "reference"]
    if not found and code != "*":
        raise NotASearch(f"{type_name} has no reference parameter {code}")
    return found
