"""Chained parameters and reverse chaining, read step by step.

https://hl7.org/fhir/R4/search.html#chaining · https://hl7.org/fhir/R4/search.html#has
"""

from __future__ import annotations

from collections.abc import Callable

from fhir_server.definitions import RESOURCE_TYPES
from fhir_server.outcomes import Invalid
from fhir_server.search.criteria import parameter, routes
from fhir_server.search.fields import Field, fields
from fhir_server.search.query import Chain, Filter, Has, Query, Route
from fhir_server.search.registry import parameters
from fhir_server.search.restrictions import check_chain
from fhir_server.search.scope import Scope, Unknown

Read = Callable[[Scope, str, str], Filter]
# What every type has without its being listed among the type's own parameters, or that no list names.
_EVERYWHERE = ("_has", "_filter", "_text", "_content", "_list")


def chain(scope: Scope, name: str, value: str, read: Read) -> Filter:
    """The filter of `subject:Patient.name=peter`; `read` understands what is behind the point."""
    head, _, rest = name.partition(".")
    code, _, modifier = head.partition(":")
    found: list[Route] = []
    wanted = rest.partition(".")[0].partition(":")[0]
    if modifier and modifier not in RESOURCE_TYPES:
        raise Invalid(f"In '{name[:64]}' only a resource type can stand between ':' and '.'.")
    for type_name in scope.types:
        # Inside a chain that leads to several types, those count for which the rest makes sense.
        if scope.depth == 0 or len(scope.types) == 1 or _refers(type_name, code):
            field = _reference(type_name, code, scope)
            check_chain(field.parameter, wanted)
            found += routes(field, modifier)
    if not found:
        raise Invalid(f"Search parameter '{code[:64]}' does not refer to {modifier or 'a resource'}.")
    targets = sorted({route.target for route in found if _has_parameter(route.target, wanted)})
    if not targets:
        raise Unknown(Invalid(f"Nothing that '{head[:64]}' refers to has a search parameter '{wanted[:64]}'."))
    if len(targets) == len(RESOURCE_TYPES):
        raise Invalid(f"'{code}' can refer to any resource: name a type, as in {code}:Patient.{wanted[:64]}.")
    inner = read(scope.inside(tuple(targets)), rest, value)
    query = Query(tuple(targets), (inner,), depth=scope.depth + 1)
    leading = tuple(route for route in dict.fromkeys(found) if route.target in targets)
    return Filter(name, inner.text, Chain(leading, query))


def has(scope: Scope, name: str, value: str, read: Read) -> Filter:
    """The filter of `_has:Observation:patient:code=1234-5`."""
    parts = name.split(":", 3)
    if len(parts) < 4 or not all(parts):
        raise Invalid(f"Reverse chaining has the form _has:Type:reference:parameter, not '{name[:64]}'.")
    _, source, code, rest = parts
    if source not in RESOURCE_TYPES:
        raise Invalid("Parameter '_has' names no resource type behind its first colon.")
    field = _reference(source, code, scope)
    leading = tuple(route for route in routes(field) if route.target in scope.types)
    if not leading:
        raise Unknown(Invalid(f"{source}:{code[:64]} does not refer to what is searched for."))
    inner = read(scope.inside((source,)), rest, value)
    return Filter(name, inner.text, Has(leading, Query((source,), (inner,), depth=scope.depth + 1)))


def _reference(type_name: str, code: str, scope: Scope) -> Field:
    found = parameter(type_name, code, alone=len(scope.types) == 1 or scope.depth > 0)
    if found.type != "reference":
        raise Invalid(f"Search parameter '{code[:64]}' of {type_name} is no reference, so nothing can be behind it.")
    return fields(type_name)[code]


def _refers(type_name: str, code: str) -> bool:
    found = parameters(type_name).get(code)
    return found is not None and found.type == "reference"


def _has_parameter(type_name: str, code: str) -> bool:
    return code in _EVERYWHERE or code in parameters(type_name)
