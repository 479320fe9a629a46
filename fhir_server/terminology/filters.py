"""`ValueSet.compose.include.filter`: https://hl7.org/fhir/R4/valueset-filter-operator.html"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fhir_server.outcomes import Invalid, NotSupported
from fhir_server.terminology.codesystem import CodeSystem, Concept
from fhir_server.terminology.effort import Effort
from fhir_server.terminology.pattern import Pattern
from fhir_server.terminology.resources import Filter

Test = Callable[[Concept], bool]
Values = Callable[[Concept], Sequence[str]]

ITSELF = ("concept", "code")  # the concept, not one of its properties
# The last two are R5's.
HIERARCHICAL = ("is-a", "descendent-of", "is-not-a", "generalizes", "child-of", "descendent-leaf")


def select(system: CodeSystem, filters: Sequence[Filter], effort: Effort) -> list[Concept]:
    """The concepts that fit all filters, in order of the code system.

    Raises NotSupported or Invalid (400), naming the code system, for a filter that it does not allow.
    """
    wanted = tests(system, filters, effort)
    effort.spend(len(system.concepts) * (len(wanted) + 1))
    return [one for one in system.concepts.values() if all(test(one) for test in wanted)]


def tests(system: CodeSystem, filters: Sequence[Filter], effort: Effort) -> list[Test]:
    """What a concept has to pass; raises as `select` does."""
    return [_test(system, one, effort) for one in filters]


def _test(system: CodeSystem, one: Filter, effort: Effort) -> Test:
    if one.op in HIERARCHICAL:
        return _by_hierarchy(system, one, effort)
    values = _values(system, one.property)
    match one.op:
        case "=":
            return lambda concept: one.value in values(concept)
        case "in" | "not-in":
            listed = {text.strip() for text in one.value.split(",")}
            wanted = one.op == "in"
            return lambda concept: wanted != listed.isdisjoint(values(concept))
        case "exists":
            if one.value not in ("true", "false"):
                raise Invalid(f"A filter 'exists' on code system {system.url} is either true or false.")
            wanted = one.value == "true"
            return lambda concept: bool(values(concept)) == wanted
        case "regex":
            pattern = Pattern(one.value)
            return lambda concept: any(pattern.matches(text, effort) for text in values(concept))
    raise NotSupported(f"Filter '{one.op[:32]}' on code system {system.url} is not supported.")


def _by_hierarchy(system: CodeSystem, one: Filter, effort: Effort) -> Test:
    if one.property not in ITSELF:
        raise NotSupported(
            f"Filter '{one.op}' on property '{one.property[:64]}' of code system {system.url} is not supported."
        )
    if not system.is_a:
        meaning = system.hierarchy_meaning
        raise NotSupported(f"Filter '{one.op}' needs an is-a hierarchy; that of code system {system.url} is {meaning}.")
    if one.value not in system.concepts:
        raise Invalid(f"Filter '{one.op}' names a code that code system {system.url} does not list.")
    if one.op == "child-of":
        children = frozenset(system.children(one.value))
        return lambda concept: concept.code in children
    found = set(system.ancestors(one.value) if one.op == "generalizes" else system.descendants(one.value))
    effort.spend(len(found))
    match one.op:
        case "is-not-a":
            return lambda concept: concept.code not in found
        case "descendent-of":
            found.remove(one.value)
        case "descendent-leaf":
            found = {code for code in found if code != one.value and not system.children(code)}
    return lambda concept: concept.code in found


def _values(system: CodeSystem, name: str) -> Values:
    """What a filter on this property looks at."""
    match name:
        case "concept" | "code":
            return lambda concept: (concept.code,)
        case "display":
            return lambda concept: (concept.display,) if concept.display else ()
        case "definition":
            return lambda concept: (concept.definition,) if concept.definition else ()
        case "parent":
            return lambda concept: system.parents(concept.code)
        case "child":
            return lambda concept: system.children(concept.code)
        case "inactive":  # "default value is false"
            return lambda concept: ("true" if concept.inactive else "false",)
        case "notSelectable":
            return lambda concept: ("true" if concept.abstract else "false",)
    if name not in system.properties:
        raise NotSupported(f"Code system {system.url} has no property '{name[:64]}' to filter by.")
    return lambda concept: concept.properties.get(name, ())
