"""Mutations made from the definitions: for each place in a resource, the ways in which it can be made wrong."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple
from zlib import crc32

from fhir_server.definitions import ElementDefinition, codes, codings, is_primitive, type_definition
from fhir_server.fhirpath import Location, Node, children, root

Json = dict[str, Any]

# Of each primitive type, what looks like a value of it and is none; what is a string anyway has no wrong form.
WRONG_FORM: dict[str, Any] = {
    "base64Binary": "a*b=",
    "canonical": "http://a b",
    "code": " a",
    "date": "2021-02-30",
    "dateTime": "2021-02-03T04:05:06",
    "decimal": Decimal("1E+400"),
    "id": "a_b",
    "instant": "2021-02-03",
    "integer": Decimal("1.0"),
    "markdown": "a\0",
    "oid": "urn:oid:01",
    "positiveInt": 0,
    "string": "a\0",
    "time": "08:00",
    "unsignedInt": -1,
    "uri": "http://a b",
    "url": "http://a b",
    "uuid": "urn:uuid:1",
}


class Mutation(NamedTuple):
    """A mutated resource; `element` says where in the definitions, `code` and `expression` what is to be told."""

    kind: str
    element: str
    resource: Json
    code: str
    expression: str


class _Change(NamedTuple):
    kind: str
    at: Location
    value: Any  # _GONE takes it away
    code: str
    expression: str


_GONE = object()


def mutations(resource: Json, seen: set[tuple[str, str]], share: int = 1) -> Iterator[Mutation]:
    """One of each kind for each element of the definitions that the resource has, but for those seen already.

    Of all pairs of a kind and an element, one in `share` is made, always the same.
    """
    for node in _walk(root(resource)):
        for element, change in _changes(node):
            if (change.kind, element) not in seen:
                seen.add((change.kind, element))
                if crc32(f"{change.kind} {element}".encode()) % share == 0:
                    yield Mutation(change.kind, element, _made(resource, change), change.code, change.expression)


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for below in children(node):
        yield from _walk(below)


def _made(resource: Json, change: _Change) -> Json:
    made = copy.deepcopy(resource)
    place: Any = made
    for step in change.at[:-1]:
        place = place[step]
    if change.value is _GONE:
        del place[change.at[-1]]
    else:
        place[change.at[-1]] = change.value
    return made


def _changes(node: Node) -> Iterator[tuple[str, _Change]]:
    if type(node.value) is not dict:
        return
    definition = type_definition(node.type)
    yield node.type, _Change("unknown element", (*node.location, "unknown"), "a", "structure", node.path)
    for element in definition.properties:
        if element.name in node.value and f"_{element.name}" not in node.value:
            where = f"{node.path}.{f'{element.choice}.ofType({element.type})' if element.choice else element.name}"
            for change in _of(element, node, (*node.location, element.name), where):
                yield element.path, change


def _of(element: ElementDefinition, node: Node, at: Location, where: str) -> Iterator[_Change]:
    value = node.value[element.name]
    if element.min:
        name = element.choice or element.name
        yield _Change("missing element", at, _GONE, "required", f"{node.path}.{name}")
    yield _Change("null", at, None, "structure", where)
    yield _Change("empty array", at, [], "structure", where)
    if element.repeats:
        yield _Change("one for an array", at, value[0], "structure", where)
        at, where, value = (*at, 0), f"{where}[0]", value[0]
    else:
        yield _Change("array for one", at, [value], "structure", where)
    if element.choice:
        others = [one for one in type_definition(node.type).properties if one.choice == element.choice]
        other = next(one for one in others if one.name != element.name)
        beside = {"extension": [{"url": "urn:a", "valueCode": "a"}]}
        another = f"_{other.name}" if is_primitive(other.type) else other.name
        yield _Change(
            "two types of a choice", (*at[:-1], another), beside, "structure", f"{node.path}.{element.choice}"
        )
    yield from _of_one(element, value, at, where)


def _of_one(element: ElementDefinition, value: Any, at: Location, where: str) -> Iterator[_Change]:
    if not is_primitive(element.type):
        if element.type != "Resource":
            yield _Change("empty object", at, {}, "invariant", where)
            yield _Change("string for an object", at, "a", "structure", where)
        if element.type == "Reference" and "reference" in value:
            place, target = (*at, "reference"), f"{where}.reference"
            yield _Change("reference to no type", place, "Nothing/a", "value", target)
            if element.targets and "Binary" not in element.targets:
                yield _Change("reference to another type", place, "Binary/a", "value", target)
        if element.type == "CodeableConcept" and _is_listed(element):
            yield _Change("concept outside of its value set", at, {"coding": [{"code": "a"}]}, "code-invalid", where)
        return
    yield _Change("object for a value", at, {"id": "a"}, "structure", where)
    if isinstance(value, str):
        yield _Change(f"number for a {_kind_of_text(element.type)}", at, 1, "structure", where)
        yield _Change("empty string", at, "", "value", where)
    else:
        kind = "boolean" if isinstance(value, bool) else "number"
        yield _Change(f"string for a {kind}", at, str(value).lower(), "structure", where)
    if element.type == "xhtml":
        script = '<div xmlns="http://www.w3.org/1999/xhtml">a<script>a()</script></div>'
        yield _Change("script", at, script, "invariant", where)
    elif element.type == "code" and _is_listed(element):
        yield _Change("code outside of its value set", at, "no-such-code", "code-invalid", where)
    elif element.type in WRONG_FORM and not element.path.endswith((".id", "Reference.reference")):
        yield _Change(f"wrong form of {element.type}", at, WRONG_FORM[element.type], "value", where)


def _kind_of_text(type_: str) -> str:
    return "time" if type_ in ("dateTime", "instant", "time") else "string"


def _is_listed(element: ElementDefinition) -> bool:
    binding = element.binding
    if binding is None or binding.strength != "required":
        return False
    return (codes if element.type == "code" else codings)(binding.value_set) is not None
