"""The operations of a FHIRPath Patch that turn one resource into another.

https://hl7.org/fhir/R4/fhirpatch.html · a replace also has the part `previousValue`, as HAPI's $diff gives it
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any

from fhir_server import json
from fhir_server.definitions import ElementDefinition, TypeDefinition, is_primitive, type_definition

Json = dict[str, Any]
Value = tuple[Any, Any]  # an element's plain property and its `_` property, None where there is none

_NOTHING: Value = (None, None)


def difference(before: Json, after: Json, *, meta: bool = False) -> Json:
    """Parameters with the operations in the order to apply them; both resources are valid and of one type.

    The id is no part of the comparison, and `meta` only when asked for.
    """
    name = before["resourceType"]
    aside = {"resourceType", "id"} if meta else {"resourceType", "id", "meta"}
    one, other = ({key: value for key, value in each.items() if key not in aside} for each in (before, after))
    operations = list(_of_object(type_definition(name), one, other, name))
    return {"resourceType": "Parameters", **({"parameter": operations} if operations else {})}


def _of_object(type_: TypeDefinition, before: Json, after: Json, path: str) -> Iterator[Json]:
    """Deletions come last: an element must not be empty in between, or it would go with its last child."""
    deletions: list[Json] = []
    for name, was, becomes in _changed(type_, before, after):
        place = f"{path}.{name}"
        element, old = was
        new_element, new = becomes
        if (new_element or element).repeats:
            yield from _of_list(new_element or element, old, new, place, deletions)
        elif new == _NOTHING:
            deletions.append(_operation("delete", place))
        elif old == _NOTHING:
            yield _operation("add", path, name=name, value=_part("value", new_element, new))
        elif element is new_element and _same_kind(element, old, new):
            yield from _of_object(_type_of(element, new[0]), old[0], new[0], place)
        else:
            yield _replaced(place, element, old, new_element, new)
    yield from deletions


Pair = tuple[ElementDefinition, Any]


def _changed(type_: TypeDefinition, before: Json, after: Json) -> Iterator[tuple[str, Pair, Pair]]:
    """The elements that differ, by the name that a path has for them, each with its definition and value (or list)."""
    groups: dict[str, list[ElementDefinition]] = {}
    for element in type_.properties:
        groups.setdefault(element.choice or element.name, []).append(element)
    for name, group in groups.items():
        was, becomes = (_held(group, holder) for holder in (before, after))
        if was[1] != becomes[1] or (was[0] is not becomes[0] and was[1] != _NOTHING):
            yield name, was, becomes


def _held(group: list[ElementDefinition], holder: Json) -> Pair:
    """What the object has of an element, or of a choice of them."""
    for element in group:
        plain, beside = holder.get(element.name), holder.get(f"_{element.name}")
        if element.repeats:
            plain, beside = plain or [], beside or []
            length = max(len(plain), len(beside))
            return element, [(_at(plain, i), _at(beside, i)) for i in range(length)]
        if plain is not None or beside is not None:
            return element, (plain, beside)
    return group[0], _NOTHING


def _at(items: list[Any], index: int) -> Any:
    return items[index] if index < len(items) else None


def _of_list(
    element: ElementDefinition, old: list[Value], new: list[Value], path: str, deletions: list[Json]
) -> Iterator[Json]:
    """From the end to the beginning, so that no operation moves the place of a later one."""
    if not old:
        parent, _, name = path.rpartition(".")
        for added in new:
            yield _operation("add", parent, name=name, value=_part("value", element, added))
        return
    if not new:
        deletions += [_operation("delete", f"{path}[{index}]") for index in range(len(old) - 1, -1, -1)]
        return
    for start, end, new_start, new_end in _blocks(old, new):
        common = min(end - start, new_end - new_start)
        for index in range(end - 1, start + common - 1, -1):
            yield _operation("delete", f"{path}[{index}]")
        for offset in range(common, new_end - new_start):
            value = _part("value", element, new[new_start + offset])
            yield _operation("insert", path, index=start + offset, value=value)
        for offset in range(common):
            was, becomes = old[start + offset], new[new_start + offset]
            place = f"{path}[{start + offset}]"
            if _same_kind(element, was, becomes):
                yield from _of_object(_type_of(element, becomes[0]), was[0], becomes[0], place)
            elif was != becomes:
                yield _replaced(place, element, was, element, becomes)


def _blocks(old: list[Value], new: list[Value]) -> list[tuple[int, int, int, int]]:
    """The stretches of the two lists that differ, last first: from and to in the old one, from and to in the new."""
    kept = _kept([json.encode(value) for value in old], [json.encode(value) for value in new])
    starts = [(0, 0), *((i + 1, j + 1) for i, j in kept)]
    ends = [*kept, (len(old), len(new))]
    blocks = [(i, end, j, new_end) for (i, j), (end, new_end) in zip(starts, ends, strict=True)]
    return [block for block in reversed(blocks) if block[0] < block[1] or block[2] < block[3]]


def _kept(old: list[bytes], new: list[bytes]) -> list[tuple[int, int]]:
    """Places of equal items, in order in both lists: a common beginning and end, and between them what is there once.

    n log n, whatever the lists: the best alignment would let a hostile one take minutes.
    """
    shorter = min(len(old), len(new))
    head = next((i for i in range(shorter) if old[i] != new[i]), shorter)
    tail = next((i for i in range(shorter - head) if old[-1 - i] != new[-1 - i]), shorter - head)
    middle, new_middle = range(head, len(old) - tail), range(head, len(new) - tail)
    counts, new_counts = Counter(old[i] for i in middle), Counter(new[j] for j in new_middle)
    places = {new[j]: j for j in new_middle if new_counts[new[j]] == 1}
    pairs = [(i, places[old[i]]) for i in middle if counts[old[i]] == 1 and old[i] in places]
    ends = [(len(old) - tail + i, len(new) - tail + i) for i in range(tail)]
    return [*((i, i) for i in range(head)), *_rising(pairs), *ends]


def _rising(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest series of pairs whose second numbers rise as their first ones do."""
    lasts: list[int] = []  # the smallest second number that ends a series of each length
    ends: list[int] = []  # the pair that does
    before: list[int] = []  # the pair ahead of each pair in its series
    for index, (_, second) in enumerate(pairs):
        length = bisect_left(lasts, second)
        before.append(ends[length - 1] if length else -1)
        lasts[length : length + 1] = [second]
        ends[length : length + 1] = [index]
    series: list[tuple[int, int]] = []
    place = ends[-1] if ends else -1
    while place >= 0:
        series.append(pairs[place])
        place = before[place]
    return series[::-1]


def _same_kind(element: ElementDefinition, was: Value, becomes: Value) -> bool:
    """Whether both are objects of one type, whose children can be compared."""
    old, new = was[0], becomes[0]
    return isinstance(old, dict) and isinstance(new, dict) and old.get("resourceType") == new.get("resourceType")


def _type_of(element: ElementDefinition, value: Json) -> TypeDefinition:
    return type_definition(value["resourceType"] if element.type == "Resource" else element.type)


# ---- the parts of an operation -----------------------------------------------------------------------


def _operation(type_: str, path: str, *, name: str = "", index: int | None = None, value: Json | None = None) -> Json:
    parts: list[Json] = [{"name": "type", "valueCode": type_}, {"name": "path", "valueString": path}]
    if name:
        parts.append({"name": "name", "valueString": name})
    if index is not None:
        parts.append({"name": "index", "valueInteger": index})
    if value is not None:
        parts.append(value)
    return {"name": "operation", "part": parts}


def _replaced(path: str, element: ElementDefinition, old: Value, new_element: ElementDefinition, new: Value) -> Json:
    operation = _operation("replace", path, value=_part("value", new_element, new))
    operation["part"].append(_part("previousValue", element, old))
    return operation


def _part(name: str, element: ElementDefinition, value: Value) -> Json:
    """A value as a part: value[x] where Parameters has one of this type, else a resource or nested parts."""
    plain, beside = value
    if element.type == "Resource":
        return {"name": name, "resource": plain}
    if element.type in _value_types() or is_primitive(element.type):
        suffix = element.type[0].upper() + element.type[1:] if element.type in _value_types() else "String"
        values = {f"value{suffix}": plain, f"_value{suffix}": beside}
        return {"name": name, **{key: item for key, item in values.items() if item is not None}}
    return {"name": name, "part": list(_children(_type_of(element, plain), plain))}


def _children(type_: TypeDefinition, value: Json) -> Iterator[Json]:
    for name, was, _ in _changed(type_, value, {}):
        element, held = was
        for item in held if element.repeats else [held]:
            yield _part(name, element, item)


@cache
def _value_types() -> frozenset[str]:
    """The types that Parameters.parameter.value[x] takes."""
    return frozenset(e.type for e in type_definition("Parameters.parameter").properties if e.choice == "value")
