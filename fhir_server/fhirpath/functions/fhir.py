"""What FHIR adds: https://hl7.org/fhir/R4/fhirpath.html#functions"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fhir_server.definitions import is_primitive
from fhir_server.fhirpath import references
from fhir_server.fhirpath.code import Code, of_items, of_truth, of_value
from fhir_server.fhirpath.environment import Items, State
from fhir_server.fhirpath.errors import FhirPathError
from fhir_server.fhirpath.functions.registry import Builder, Call, function
from fhir_server.fhirpath.nodes import Node, add_child
from fhir_server.fhirpath.types import ancestors, system_value

_STRUCTURES = "http://hl7.org/fhir/StructureDefinition/"


@function("extension", 1)
def extension(call: Call) -> Code:
    of_input, url = call.input.items, call.arguments[0].value

    def items(state: State, this: Items) -> Items:
        found: Items = []
        for node in of_input(state, this):
            add_child(node, "extension", found)
        if not found:
            return found
        wanted = url(state, this)
        return [each for each in found if type(each.value) is dict and each.value.get("url") == wanted is not None]

    return of_items(items)


def _has_value(node: Node) -> bool:
    return node.value is not None and is_value(node)


def is_value(node: Node) -> bool:
    """Whether a node is a primitive or a System value."""
    return node.type.startswith("System.") or is_primitive(node.type)


@function("hasValue")
def has_value(call: Call) -> Code:
    of_input = call.input.items

    def truth(state: State, this: Items) -> bool:
        found = of_input(state, this)
        return len(found) == 1 and _has_value(found[0])

    return of_truth(truth)


@function("getValue")
def get_value(call: Call) -> Code:
    of_input = call.input.items

    def value(state: State, this: Items) -> Any:
        found = of_input(state, this)
        return system_value(found[0]) if len(found) == 1 and _has_value(found[0]) else None

    return of_value(value)


@function("resolve")
def resolve(call: Call) -> Code:
    def items(state: State, this: Items) -> Items:
        found: Items = []
        for node in call.input.items(state, this):
            state.spend(10)
            target = references.resolve(node, state.environment.services)
            if target is not None:
                found.append(target)
        return found

    return of_items(items)


@function("conformsTo", 1)
def conforms_to(call: Call) -> Code:
    def truth(state: State, this: Items) -> bool | None:
        node, profile = _one(call.input, state, this), call.arguments[0].value(state, this)
        if node is None or type(profile) is not str:
            return None
        name = profile.removeprefix(_STRUCTURES)
        if name in ancestors(node.type):
            return True
        return state.environment.services.conforms_to(node, profile)

    return of_truth(truth)


@function("memberOf", 1)
def member_of(call: Call) -> Code:
    def truth(state: State, this: Items) -> bool | None:
        node, value_set = _one(call.input, state, this), call.arguments[0].value(state, this)
        if node is None or type(value_set) is not str:
            return None
        return state.environment.services.member_of(node, value_set)

    return of_truth(truth)


@function("htmlChecks")
def html_checks(call: Call) -> Code:
    def truth(state: State, this: Items) -> bool | None:
        node = _one(call.input, state, this)
        return None if node is None else state.environment.services.html_checks(node)

    return of_truth(truth)


def _subsumption(turned: bool) -> Builder:
    def build(call: Call) -> Code:
        def truth(state: State, this: Items) -> bool | None:
            one, other = _one(call.input, state, this), _one(call.arguments[0], state, this)
            if one is None or other is None:
                return None
            services = state.environment.services
            return services.subsumes(other, one) if turned else services.subsumes(one, other)

        return of_truth(truth)

    return build


function("subsumes", 1)(_subsumption(False))
function("subsumedBy", 1)(_subsumption(True))


def _one(code: Code, state: State, this: Items) -> Node | None:
    found = code.items(state, this)
    if len(found) > 1:
        raise FhirPathError("The expression has several items where one is expected.")
    return found[0] if found else None


def _refused(name: str) -> Callable[[Call], Code]:
    def build(call: Call) -> Code:
        raise FhirPathError(f"{name}() is not supported.")

    return build


for _name, _arguments in {"elementDefinition": 0, "slice": 2, "checkModifiers": 1}.items():
    function(_name, 0, 10 if _name == "checkModifiers" else _arguments)(_refused(_name))
