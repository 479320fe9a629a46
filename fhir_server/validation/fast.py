"""The quick pass: closures made from the rules that answer True only for what is certainly valid.

False means "look closer": rare shapes that are valid (null beside an extension, say) are left to explain.
Checks are made when a property is met for the first time, so that start-up pays for nothing.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from fhir_server.definitions import RESOURCE_TYPES
from fhir_server.validation.primitives import Test
from fhir_server.validation.rules import Property, TypeKey, TypeRules, contained_problems, rules


def is_surely_valid(resource: Any) -> bool:
    """Whether this resource is valid without a doubt."""
    if type(resource) is not dict:
        return False
    name = resource.get("resourceType")
    return type(name) is str and name in RESOURCE_TYPES and _resource(name)(resource)


def _is_contained(resource: Any) -> bool:
    return is_surely_valid(resource) and not contained_problems(resource)


def _never(_value: Any) -> bool:
    return False


def _always(_value: Any) -> bool:
    return True


@cache
def _resource(name: str) -> Test:
    return _object(TypeKey(name))


@cache
def _object(key: TypeKey) -> Test:
    """The check of a JSON object of this type."""
    table = rules(key)
    checks = _Checks(table)
    choices = tuple(table.choices.values())
    required_choices = tuple(table.choices[name] for name in table.required_choices)
    required = table.required
    invariants = table.invariants
    least = 0 if table.is_resource else 1

    def plain(value: Any) -> bool:
        if type(value) is not dict or len(value) < least or (least and len(value) == 1 and "id" in value):
            return False
        for name, child in value.items():
            if not checks[name](child):
                return False
        for name in required:  # noqa: SIM110  loops, for all() with a generator takes twice as long
            if name not in value:
                return False
        return True

    def full(value: Any) -> bool:
        if not plain(value):
            return False
        for names in choices:
            if len(names & value.keys()) > 1:
                return False
        for names in required_choices:
            if names.isdisjoint(value):
                return False
        return not any(invariant(value) for invariant in invariants)

    if key.name == "Extension":
        return _extension(plain)
    return full if choices or invariants else plain


def _extension(plain: Test) -> Test:
    """Url and one more property besides the id: a value or extensions. The most frequent object of all."""

    def check(value: Any) -> bool:
        return plain(value) and len(value) - ("id" in value) == 2

    return check


class _Checks(dict[str, Test]):
    """Property name → its check, made on first use; unknown names are not remembered."""

    def __init__(self, table: TypeRules) -> None:
        super().__init__()
        self.table = table
        if table.is_resource:
            self["resourceType"] = _always  # is_surely_valid has looked at it

    def __missing__(self, name: str) -> Test:
        prop = self.table.properties.get(name.removeprefix("_"))
        if prop is None:
            return _never
        check = _sibling(prop) if name.startswith("_") else _property(prop)
        self[name] = check
        return check


def _property(prop: Property) -> Test:
    if prop.check:
        one = prop.check.test
    elif prop.element.type == "Resource":
        one = _is_contained if prop.element.name == "contained" else is_surely_valid
    else:
        one = _object(prop.type)
    return _many(one) if prop.element.repeats else one


def _sibling(prop: Property) -> Test:
    """`_birthDate`: id and extensions of one primitive. Those of a list, or of a choice, need a closer look."""
    element = prop.element
    if prop.check is None or element.repeats or element.choice or element.xml_attribute:
        return _never
    return _object(TypeKey(element.type))


def _many(one: Test) -> Test:
    def check(value: Any) -> bool:
        if type(value) is not list or not value:
            return False
        for item in value:  # noqa: SIM110  as above
            if not one(item):
                return False
        return True

    return check
