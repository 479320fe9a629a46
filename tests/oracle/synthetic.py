"""Small resources made from the type definitions, with a value at the place of each search parameter."""

from __future__ import annotations

from random import Random
from typing import Any

from fhir_server.definitions import ElementDefinition, SearchParameter, is_primitive, type_definition
from tests.oracle.expressions import (
    Call,
    Expression,
    Index,
    Json,
    Literal,
    Node,
    Operation,
    Step,
    evaluate,
    is_a,
    is_exactly,
    parse,
)
from tests.oracle.leaves import Leaves, Pool
from tests.oracle.parameters import components, parameters_of

LEFT_TO_THE_SERVER = {"_id", "_lastUpdated"}


def synthesize(
    resource_type: str, rng: Random, identity: str = "synthetic-1", pool: Pool | None = None, favour: str = ""
) -> Json:
    """A resource with a value at the places of most of its parameters: choices leave room for one type at a time.

    `pool` are the ids, by type, that references may use; `favour` is the code of a parameter that comes first. The
    JSON is structurally valid; invariants are not sought.
    """
    garden = _Garden(rng, pool or {})
    resource: Json = {"resourceType": resource_type, "id": identity}
    whole = Node(resource_type, resource)
    known = parameters_of(resource_type)
    first = [part for part, _ in components(known[favour])] or [known[favour]] if favour else []
    rest = [each for each in known.values() if each.type != "composite" and rng.random() < 0.9]
    rng.shuffle(rest)
    for parameter in first + rest:
        if parameter.code not in LEFT_TO_THE_SERVER:
            garden.plant(parameter, whole)
    if resource_type == "Bundle":
        resource["type"] = "collection"  # the one type without rules of its own
    garden.fill(whole)
    return resource


class _Garden:
    def __init__(self, rng: Random, pool: Pool) -> None:
        self.rng, self.leaves = rng, Leaves(rng, pool)
        self.parameter: SearchParameter | None = None
        self.appending = False  # whether a repeating element gets one more entry
        self.decided: dict[int, Node] = {}  # nodes that meet a condition, by identity

    def plant(self, parameter: SearchParameter, whole: Node) -> None:
        """Puts a value where the parameter finds one."""
        self.parameter = parameter
        self.grow(parse(parameter.expression), whole, "")

    def grow(self, expression: Expression | None, whole: Node, wanted: str) -> Node | None:
        """The node an expression leads to, made when it is not there; `wanted` is the type of a choice."""
        match expression:
            case Step(source=None, name=name) if name[0].isupper():
                return whole if is_a(whole.type, name) else None
            case Step(source=source, name=name):
                parent = whole if source is None else self.grow(source, whole, "")
                return self.child(parent, name, wanted) if parent else None
            case Index(source=source):
                return self.grow(source, whole, wanted)
            case Operation(source=source, operator="|", right=right):
                return self.any_of([source, right], whole, wanted)
            case Operation(source=source, operator="as", right=Step(name=name)):
                return self.grow(source, whole, name)
            case Call(source=source, function="as" | "ofType", argument=Step(name=name)):
                return self.grow(source, whole, name)
            case Call(source=source, function="where", argument=Operation() as condition):
                met = evaluate(expression, [whole], whole)
                return met[0] if met else self.chosen(self.fresh(source, whole, wanted), condition)
            case Operation(source=source) | Call(source=source):
                return self.grow(source, whole, wanted)
        return None

    def any_of(self, branches: list[Expression | None], whole: Node, wanted: str) -> Node | None:
        """One branch of a union that is about this type, and sometimes the others."""
        self.rng.shuffle(branches)
        grown: Node | None = None
        for branch in branches:
            if grown is None or self.rng.random() < 0.3:
                grown = self.grow(branch, whole, wanted) or grown
        return grown

    def fresh(self, expression: Expression | None, whole: Node, wanted: str) -> Node | None:
        """The node an expression leads to, through entries of their own wherever an element repeats."""
        self.appending = True
        node = self.grow(expression, whole, wanted)
        self.appending = False
        return node

    def chosen(self, node: Node | None, condition: Operation) -> Node | None:
        """The node, made to meet `where(x='y')` or `where(resolve() is T)`; None when it meets another already."""
        if node is None or id(node.value) in self.decided:
            return None
        self.decided[id(node.value)] = node
        match condition:
            case Operation(source=Step(name=name), operator="=", right=Literal(value=value)):
                node.value[name] = value
                if node.type == "ContactPoint":
                    node.value["value"] = "x@example.org" if value == "email" else "(555) 321-7654"
            case Operation(operator="is", right=Step(name=target)):
                node.value.clear()
                node.value.update(self.leaves.reference((target,)))
        return node

    def child(self, parent: Node, name: str, wanted: str) -> Node | None:
        """A value of an element: there already, one more, or new; None when a choice has another type."""
        properties = type_definition(parent.type).properties
        named = [each for each in properties if name in (each.name, each.choice)]
        able = [each for each in named if not wanted or is_exactly(each.type, wanted)]
        present = [each for each in named if each.name in parent.value]
        if present and present[0] not in able:
            return None
        if not able:
            return None
        element = present[0] if present else self.rng.choice(self.searchable(able))
        value = self.value(element, parent.value)
        return Node(value["resourceType"] if element.type == "Resource" else element.type, value, element)

    def searchable(self, elements: list[ElementDefinition]) -> list[ElementDefinition]:
        """Of a choice's types, those that are not only there for people."""
        return [each for each in elements if each.type not in ("string", "Age", "SampledData")] or elements

    def value(self, element: ElementDefinition, holder: Json) -> Any:
        held = holder.get(element.name)
        more = element.repeats and (self.appending or (held and len(held) < 3 and self.rng.random() < 0.5))
        if held is not None and not more:
            return self.rng.choice(held) if element.repeats else held
        made = self.resource() if element.type == "Resource" else self.leaves.make(element)
        if element.repeats:
            holder.setdefault(element.name, []).append(made)
        else:
            holder[element.name] = made
        return made

    def resource(self) -> Json:
        """A resource for Bundle.entry.resource, of the type that the parameter is about."""
        target = self.parameter.target[0] if self.parameter and self.parameter.target else "Basic"
        inside: Json = {"resourceType": target, "id": "inside"}
        self.fill(Node(target, inside))
        return inside

    def fill(self, node: Node) -> None:
        """Adds what is mandatory, all the way down."""
        choices_met = set()
        for element in type_definition(node.type).properties:
            group = element.choice or element.name
            if element.name in node.value:
                choices_met.add(group)
        for element in type_definition(node.type).properties:
            group = element.choice or element.name
            if element.min and group not in choices_met:
                choices_met.add(group)
                self.value(element, node.value)
            held = node.value.get(element.name)
            for each in held if isinstance(held, list) else [held]:
                if isinstance(each, dict) and not is_primitive(element.type) and element.type != "Resource":
                    self.fill(Node(element.type, each, element))
        if not node.value:  # ele-1: an element has a value or children
            able = [each for each in type_definition(node.type).properties if each.type in ("string", "code", "uri")]
            spare = next(each for each in able if each.name != "id")
            self.value(spare, node.value)
