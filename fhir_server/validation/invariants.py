"""The constraints of R4's own types, and the bindings that structure does not look at, element by element.

https://hl7.org/fhir/R4/conformance-rules.html#constraints
For each type there is a plan: what holds for a value of the type, and for each of its properties what the element
adds. Only what is there is visited.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from fhir_server.definitions import Constraint, ElementDefinition, codings, type_definition, type_names
from fhir_server.fhirpath import Environment, Expression, FhirPathError, Node, TooManySteps, child, compile
from fhir_server.validation.profiles.bindings import CODED, check_binding
from fhir_server.validation.profiles.profile import Binding
from fhir_server.validation.prose import (
    check_attachment,
    check_bundle,
    check_contained,
    check_display,
    check_id,
    check_links,
    without_shown,
)
from fhir_server.validation.run import Run

# Checked as structure, by direct code: fhir_server/validation/rules.py, bundle.py, narrative.py, explain.py.
STRUCTURAL = frozenset(
    ["ele-1", "ext-1", "dom-2", "dom-4", "dom-5", "txt-1", "txt-2", *(f"bdl-{n}" for n in range(1, 13))]
)

# Published expressions that do not say what their text says: what does.
_MENDED = {
    # vs-1 "if Observation.effective[x] is dateTime …": a Period would make it empty, which is not true.
    "($this as dateTime).toString().length() >= 8": "$this is dateTime implies $this.toString().length() >= 8",
}

_PROSE = {"Bundle": check_bundle, "Attachment": check_attachment, "Coding": check_display, "Narrative": check_links}


@dataclass(frozen=True, slots=True)
class Check:
    """One constraint, compiled; `trouble` says why it could not be."""

    constraint: Constraint
    expression: Expression | None
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """A property: how to get its nodes, what its element adds, and whether anything is to be looked at below."""

    name: str  # of the choice, for value[x]
    checks: tuple[Check, ...]
    binding: Binding | None
    type: str  # of what is there; "" for a resource, which says its own


def check_invariants(run: Run, node: Node) -> None:
    """Add every constraint of R4 that this node, a resource or an element, or anything in it, breaks."""
    for check in _type_checks(node.type):
        _apply(run, node, check)
    value = node.value
    if type(value) is not dict and not node.companion:
        return
    if node.type in _PROSE:
        _PROSE[node.type](run, node)
    if type(value) is dict and "contained" in value:
        check_contained(run, node)
    if type(value) is dict and "_id" in value and "resourceType" in value:
        check_id(run, node)
    steps = _steps(node.type)
    keys = value if type(value) is dict else node.companion or {}
    seen = set()
    for key in keys:
        step = steps.get(key.removeprefix("_"))
        if step is None or step.name in seen:
            continue
        seen.add(step.name)
        for below in child(node, step.name):
            for check in step.checks:
                _apply(run, below, check)
            if step.binding is not None:
                check_binding(run, below, step.binding)
            check_invariants(run, below)


def check_constraint(run: Run, node: Node, constraint: Constraint, environment: Environment | None = None) -> None:
    """Add the constraint if the node breaks it, or if it cannot be evaluated; `environment` if not the run's own."""
    _apply(run, node, _check(constraint), environment)


def is_published(constraint: Constraint) -> bool:
    """Whether a type of R4 itself has this constraint."""
    return (constraint.key, constraint.expression) in _published()


def _apply(run: Run, node: Node, check: Check, environment: Environment | None = None) -> None:
    constraint = check.constraint
    if constraint.severity != "error" and not run.thorough:
        return
    trouble = check.trouble
    if check.expression is not None:
        try:
            if not _holds(check.expression, constraint, node, environment or run.environment):
                run.add("invariant", f"{constraint.key}: {constraint.human}", node, constraint.severity)
            return
        except TooManySteps as error:  # a resource may not be made too large for its rules
            run.add("too-costly", f"{constraint.key} could not be checked: {error}", node, constraint.severity)
            return
        except FhirPathError as error:
            trouble = str(error)
    run.add("processing", f"{constraint.key} could not be checked: {trouble}", node, "warning")


def _holds(expression: Expression, constraint: Constraint, node: Node, environment: Environment) -> bool:
    """Whether it is true; what is contained is "referred to" (dom-3) by narratives too, where no expression looks."""
    if expression.holds(node, environment):
        return True
    rest = without_shown(node) if constraint.key == "dom-3" else None
    return rest is not None and expression.holds(rest, environment)


@cache
def _check(constraint: Constraint) -> Check:
    try:
        return Check(constraint, compile(_MENDED.get(constraint.expression, constraint.expression)))
    except FhirPathError as error:
        return Check(constraint, None, str(error))


def _checks(constraints: Iterable[Constraint]) -> tuple[Check, ...]:
    return tuple(_check(one) for one in constraints if one.key not in STRUCTURAL)


@cache
def _type_checks(name: str) -> tuple[Check, ...]:
    """What holds for each value of this type, its bases' constraints included."""
    try:
        definition = type_definition(name)
    except KeyError:
        return ()
    own = _checks(definition.constraints)
    return (*_type_checks(definition.base), *own) if definition.base else own


@cache
def _steps(name: str) -> dict[str, Step]:
    """JSON property → step."""
    try:
        definition = type_definition(name)
    except KeyError:
        return {}
    return {one.name: _step(one) for one in definition.properties}


def _step(element: ElementDefinition) -> Step:
    return Step(element.choice or element.name, _checks(element.constraints), _binding(element), element.type)


def _binding(element: ElementDefinition) -> Binding | None:
    """The binding, unless structure has looked at it: required ones whose codes are listed with R4."""
    binding = element.binding
    if binding is None or element.type not in CODED:
        return None
    if binding.strength == "required" and (element.type == "code" or codings(binding.value_set) is not None):
        return None
    if binding.strength not in ("required", "extensible") and not binding.maximum:
        return None
    return Binding(binding.strength, binding.value_set, binding.maximum)


@cache
def _published() -> frozenset[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for name in type_names():
        definition = type_definition(name)
        for constraints in (definition.constraints, *(one.constraints for one in definition.properties)):
            found.update((one.key, one.expression) for one in constraints)
    return frozenset(found)
