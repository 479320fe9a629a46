"""The careful pass: walks what the quick pass was not sure of and names every rule that is broken, and where.

It never stops at the first issue, and never repeats a value: those are patients' data.
"""

from __future__ import annotations

import re
from typing import Any

from fhir_server.definitions import RESOURCE_TYPES
from fhir_server.outcomes import Issue
from fhir_server.validation.primitives import json_name
from fhir_server.validation.references import is_conditional
from fhir_server.validation.rules import Json, Property, TypeKey, TypeRules, contained_problems, rules

MAX_ISSUES = 1000  # a body of nothing but mistakes must not grow into a far larger answer
_PLAIN_NAME = re.compile(r"_?[A-Za-z][A-Za-z0-9]{0,63}").fullmatch


def explain(resource: Any, expect_type: str | None = None, conditional_references: bool = False) -> list[Issue]:
    """Every issue of this resource; an empty list when there is none."""
    explainer = _Explainer(conditional_references)
    explainer.resource(resource, "", expect_type)
    return explainer.issues


class _Explainer:
    def __init__(self, conditional_references: bool) -> None:
        self.issues: list[Issue] = []
        self.conditional_references = conditional_references

    def add(self, code: str, diagnostics: str, path: str) -> None:
        if len(self.issues) < MAX_ISSUES:
            self.issues.append(Issue(code, diagnostics, (path,) if path else ()))
        elif len(self.issues) == MAX_ISSUES:
            self.issues.append(Issue("informational", f"Only {MAX_ISSUES} issues are listed.", severity="information"))

    def resource(self, value: Any, path: str, expect_type: str | None = None) -> None:
        """A resource at this path, "" for the outermost one, which is then named by its type."""
        if type(value) is not dict:
            return self.add("structure", f"A resource must be a JSON object, not {json_name(value)}.", path)
        name = value.get("resourceType")
        if name is None:
            return self.add("required", "A resource must have a resourceType.", path)
        if type(name) is not str or name not in RESOURCE_TYPES:
            return self.add("structure", "The resourceType is not a resource type of FHIR R4.", path)
        path = path or name
        if expect_type is not None and name != expect_type:
            self.add("invalid", f"The resourceType must be {expect_type} here.", path)
        self.object(value, rules(TypeKey(name)), path)

    def object(self, value: Any, table: TypeRules, path: str, beside_value: bool = False) -> None:
        """An object of a resource, complex or nested type, or the id and extensions beside a primitive's value."""
        if type(value) is not dict:
            return self.add("structure", f"This must be a JSON object, not {json_name(value)}.", path)
        if not table.is_resource and not value.keys() - {"id"} and not (value and beside_value):
            self.add("invariant", "ele-1: an element must have a value or children.", path)
        for name in value:
            self.name(name, table, path)
        for prop in table.properties.values():
            self.property(value, prop, path)
        self.cardinalities(value, table, path)
        for invariant in table.invariants:
            for code, rule, step in invariant(value):
                self.add(code, rule, f"{path}.{step}" if step else path)

    def name(self, name: str, table: TypeRules, path: str) -> None:
        """A JSON property must be an element of the type, or a primitive's `_` companion."""
        prop = table.properties.get(name.removeprefix("_"))
        if prop is None or (name.startswith("_") and (prop.check is None or prop.element.xml_attribute)):
            if name == "resourceType" and table.is_resource:
                return
            shown = name if _PLAIN_NAME(name) else "(not a name)"
            self.add("structure", f"{table.name} has no property {shown} in FHIR R4.", path)

    def cardinalities(self, value: Json, table: TypeRules, path: str) -> None:
        """Minimum 1, and one type at most of a choice."""
        for name in table.required:
            if name not in value and f"_{name}" not in value:
                self.add("required", f"{table.name}.{name} is required.", f"{path}.{name}")
        for choice, names in table.choices.items():
            present = {n for n in (key.removeprefix("_") for key in value) if n in names}
            if len(present) > 1:
                self.add("structure", f"Only one type of {choice}[x] may be present.", f"{path}.{choice}")
            if not present and choice in table.required_choices:
                self.add("required", f"{table.name}.{choice}[x] is required.", f"{path}.{choice}")

    def property(self, owner: Json, prop: Property, path: str) -> None:
        """One property with its companion, if the owner has either."""
        name = prop.element.name
        has_value, has_sibling = name in owner, prop.check is not None and f"_{name}" in owner
        if not has_value and not has_sibling:
            return
        where = f"{path}.{prop.expression}"
        if not prop.element.repeats:
            if has_value:
                self.single(owner[name], prop, where)
            if has_sibling:
                self.object(owner[f"_{name}"], rules(prop.type), where, beside_value=has_value)
        elif prop.check is None:
            for index, item in self.items(owner[name], where):
                self.single(item, prop, f"{where}[{index}]")
        else:
            values = self.items(owner[name], where) if has_value else []
            siblings = self.items(owner[f"_{name}"], where) if has_sibling else []
            self.aligned([item for _, item in values], [item for _, item in siblings], prop, where)

    def items(self, value: Any, where: str) -> list[tuple[int, Any]]:
        """The numbered items of what must be an array with something in it."""
        if type(value) is not list:
            self.add("structure", f"This repeats, so it must be a JSON array, not {json_name(value)}.", where)
            return []
        if not value:
            self.add("structure", "An array must not be empty; leave the property out.", where)
        return list(enumerate(value))

    def aligned(self, values: list[Any], siblings: list[Any], prop: Property, where: str) -> None:
        """A list of primitives and that of their ids and extensions: null in one stands for "only in the other"."""
        if values and siblings and len(values) != len(siblings):
            self.add("structure", "This array and that of its extensions must have the same length.", where)
        for index in range(max(len(values), len(siblings))):
            value = values[index] if index < len(values) else None
            sibling = siblings[index] if index < len(siblings) else None
            place = f"{where}[{index}]"
            if value is None and sibling is None:
                self.add("structure", "null is only allowed where the other array has something.", place)
            if value is not None:
                self.single(value, prop, place)
            if sibling is not None:
                self.object(sibling, rules(prop.type), place, beside_value=value is not None)

    def single(self, value: Any, prop: Property, where: str) -> None:
        """One value: a primitive, an object, or a resource."""
        if prop.check is not None:
            self.primitive(value, prop, where)
        elif prop.element.type == "Resource":
            self.resource(value, where)
            if prop.element.name == "contained" and type(value) is dict:
                for code, rule, step in contained_problems(value):
                    self.add(code, rule, f"{where}.{step}")
        else:
            self.object(value, rules(prop.type), where)

    def primitive(self, value: Any, prop: Property, where: str) -> None:
        """A value that fails its test, unless it is a conditional reference and these are allowed."""
        check = prop.check
        if check is None or check.test(value):
            return
        if self.conditional_references and prop.element.path == "Reference.reference" and is_conditional(value):
            return
        code, rule = check.problem(value)
        self.add(code, rule, where)
