"""Where in the JSON of a resource type a search parameter finds its values, and of which data type they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from fhir_server.definitions import RESOURCE_TYPES, ElementDefinition, is_primitive, type_definition
from fhir_server.search import expression as syntax
from fhir_server.search.expression import UnsupportedExpression
from fhir_server.search.registry import SearchParameter

MAX_LEAVES = 1000  # of one parameter: each `value` of an extension alone has 50


@dataclass(frozen=True, slots=True)
class Hop:
    """One JSON property on the way, and what its value must be like."""

    name: str
    element: str  # the same without the type of a choice: "value" for "valueQuantity"
    many: bool  # the JSON is an array
    where: tuple[str, str] | None = None  # (element, value)
    first: bool = False


@dataclass(frozen=True, slots=True)
class Leaf:
    """The end of a path: values of one data type.

    `type` is "TrueUnlessFalse" for the one boolean rule; `target` limits references to a resource type;
    `value_set` is the required binding of a code.
    """

    path: tuple[Hop, ...]
    type: str
    target: str = ""
    value_set: str = ""

    @property
    def many(self) -> bool:
        """Whether one resource may have several values here."""
        return any(hop.many and not hop.first for hop in self.path)


@lru_cache(8192)
def leaves(parameter: SearchParameter) -> tuple[Leaf, ...]:
    """Every place the parameter's expression names in its resource type; raises UnsupportedExpression."""
    found: list[Leaf] = []
    for branch in syntax.branches(parameter.expression):
        found.extend(_resolve(parameter.resource_type, branch))
        if len(found) > MAX_LEAVES:
            raise UnsupportedExpression(f"The expression names more than {MAX_LEAVES} places.")
    return tuple(dict.fromkeys(found))


def _resolve(resource_type: str, branch: syntax.Branch) -> Iterator[Leaf]:
    first = branch[0]
    assert isinstance(first, syntax.Name)
    if first.name in (resource_type, "Resource", "DomainResource"):
        branch = branch[1:]
    elif first.name in RESOURCE_TYPES:
        return  # the branch of another type in a parameter that several share
    here = [Leaf((), resource_type)]
    for step in branch:
        after = [one for leaf in here for one in _take(leaf, step)]
        # One type of a choice may lack the element; all of them cannot.
        if here and not after and isinstance(step, syntax.Name | syntax.Where):
            element = step.name if isinstance(step, syntax.Name) else step.element
            raise UnsupportedExpression(f"{here[0].type} has no element {element}.")
        if len(after) > MAX_LEAVES:
            raise UnsupportedExpression(f"The expression names more than {MAX_LEAVES} places.")
        here = after
    yield from here


def _take(leaf: Leaf, step: syntax.Step) -> Iterator[Leaf]:
    match step:
        case syntax.Name(name):
            start = leaf
            if leaf.path and is_primitive(leaf.type):
                # What a primitive has besides its value is beside it: _birthDate.
                start = replace(leaf, path=(*leaf.path[:-1], replace(leaf.path[-1], name=f"_{leaf.path[-1].name}")))
            for element in _elements(leaf.type, name):
                hop = Hop(element.name, element.choice or element.name, element.repeats)
                yield Leaf((*start.path, hop), element.type, value_set=_codes(element))
        case syntax.As(type_name):
            # Some expressions write the primitive types with a capital: as(DateTime).
            if type_name.lower() == leaf.type.lower():
                yield leaf
        case syntax.Target(type_name):
            if leaf.type == "Reference":
                yield replace(leaf, target=type_name)
        case syntax.Where(element, value) if leaf.path and _has_text(leaf.type, element):
            yield replace(leaf, path=(*leaf.path[:-1], replace(leaf.path[-1], where=(element, value))))
        case syntax.First() if leaf.path:
            yield replace(leaf, path=(*leaf.path[:-1], replace(leaf.path[-1], first=True)))
        case syntax.TrueUnlessFalse():
            yield replace(leaf, type="TrueUnlessFalse")


def _elements(type_name: str, name: str) -> list[ElementDefinition]:
    """The JSON properties that an element name stands for: several for a choice."""
    properties = type_definition(type_name).properties
    if is_primitive(type_name):
        return [e for e in properties if e.name == name and name in ("id", "extension")]
    return [e for e in properties if e.name == name] or [e for e in properties if e.choice == name]


def _has_text(type_name: str, name: str) -> bool:
    """Whether values of the type have one text under this name, to be compared with another."""
    if is_primitive(type_name):
        return False
    return any(e.name == name and not e.repeats and e.type in _TEXTS for e in type_definition(type_name).properties)


# The primitives whose JSON is a string.
_TEXTS = frozenset(
    {
        "canonical",
        "code",
        "id",
        "markdown",
        "oid",
        "string",
        "uri",
        "url",
        "uuid",
        "http://hl7.org/fhirpath/System.String",
    }
)


def _codes(element: ElementDefinition) -> str:
    binding = element.binding
    return binding.value_set if binding is not None and binding.strength == "required" else ""
