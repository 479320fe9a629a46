"""The one table both passes are made from: for each type its properties, what is required, and its invariants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from fhir_server.definitions import ElementDefinition, is_primitive, type_definition
from fhir_server.validation.bindings import code_check, coding_pairs, has_listed_coding
from fhir_server.validation.bundle import bundle_problems
from fhir_server.validation.narrative import is_narrative, narrative_problem
from fhir_server.validation.primitives import PRIMITIVES, Check, lexical
from fhir_server.validation.references import reference_check

Json = dict[str, Any]
Problem = tuple[str, str, str]  # issue code, rule, expression relative to the object ("" for itself)


@dataclass(frozen=True, slots=True)
class Property:
    """One JSON property. `check` is set for primitives; `type` names the rules of the others."""

    element: ElementDefinition
    type: TypeKey
    check: Check | None = None

    @property
    def expression(self) -> str:
        """Its step in FHIRPath: a choice is written value.ofType(Quantity)."""
        element = self.element
        return f"{element.choice}.ofType({element.type})" if element.choice else element.name


@dataclass(frozen=True, slots=True)
class TypeKey:
    """A type as an element uses it: the same type has different rules under different targets and bindings."""

    name: str
    targets: tuple[str, ...] = ()  # of a Reference
    value_set: frozenset[tuple[str, str]] | None = None  # (system, code) a CodeableConcept must have one of


@dataclass(frozen=True, slots=True)
class TypeRules:
    """What an object of this type must be like."""

    name: str
    is_resource: bool
    properties: dict[str, Property]
    required: tuple[str, ...]  # properties, choices aside
    choices: dict[str, frozenset[str]]  # choice → its properties
    required_choices: tuple[str, ...]
    invariants: tuple[Callable[[Json], list[Problem]], ...]


@cache
def rules(key: TypeKey) -> TypeRules:
    """The rules of a type as used somewhere; KeyError for an unknown type."""
    definition = type_definition(key.name)
    elements = [e for e in definition.properties if e.max != 0]
    choices: dict[str, set[str]] = {}
    for element in elements:
        if element.choice:
            choices.setdefault(element.choice, set()).add(element.name)
    return TypeRules(
        name=key.name,
        is_resource=definition.kind == "resource",
        properties={e.name: _property(key, e) for e in elements},
        required=tuple(e.name for e in elements if e.min and not e.choice),
        choices={choice: frozenset(names) for choice, names in choices.items()},
        required_choices=tuple(sorted({e.choice for e in elements if e.min and e.choice})),
        invariants=_invariants(key),
    )


def _property(owner: TypeKey, element: ElementDefinition) -> Property:
    if is_primitive(element.type):
        return Property(element, TypeKey(element.type), _primitive(owner, element))
    if element.type == "Reference":
        return Property(element, TypeKey("Reference", targets=element.targets))
    if element.type == "CodeableConcept":
        return Property(element, TypeKey("CodeableConcept", value_set=coding_pairs(element.binding)))
    return Property(element, TypeKey(element.profile or element.type))


def _primitive(owner: TypeKey, element: ElementDefinition) -> Check:
    if element.path == "Reference.reference":
        return reference_check(owner.targets)
    if element.type == "code":
        return code_check(element)
    if element.type == "xhtml":
        return _XHTML
    return PRIMITIVES[element.type]


def _xhtml_problem(value: Any) -> tuple[str, str]:
    if type(value) is not str or not value:
        return lexical("string", is_narrative, "").problem(value)
    return "invariant", narrative_problem(value) or ""


_XHTML = Check(is_narrative, _xhtml_problem)


def _invariants(key: TypeKey) -> tuple[Callable[[Json], list[Problem]], ...]:
    if key.name == "Extension":
        return (_extension,)
    if key.name == "Bundle":
        return (bundle_problems,)
    pairs = key.value_set
    if pairs is not None:
        return (lambda concept: _binding(concept, pairs),)
    return ()


def _binding(concept: Json, pairs: frozenset[tuple[str, str]]) -> list[Problem]:
    if has_listed_coding(concept, pairs):
        return []
    return [("code-invalid", "One of the codings must be from the required value set of this element.", "")]


def _extension(extension: Json) -> list[Problem]:
    has_value = any(name.startswith(("value", "_value")) for name in extension)
    if has_value != ("extension" in extension):
        return []
    return [("invariant", "ext-1: an extension must have either a value or extensions, not both.", "")]


def contained_problems(resource: Json) -> list[Problem]:
    """What a contained resource must not have, and the id it must have (dom-2, dom-4, dom-5)."""
    problems: list[Problem] = []
    if "id" not in resource:
        problems.append(("required", "A contained resource must have an id.", "id"))
    if "contained" in resource:
        problems.append(("invariant", "dom-2: a contained resource must not contain resources.", "contained"))
    meta = resource.get("meta")
    for key, name in (("dom-4", "versionId"), ("dom-4", "lastUpdated"), ("dom-5", "security")):
        if type(meta) is dict and name in meta:
            problems.append(("invariant", f"{key}: a contained resource must not have a meta.{name}.", f"meta.{name}"))
    return problems
