"""An ordinary parameter with its modifier and values becomes a condition.

https://hl7.org/fhir/R4/search.html#modifiers
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from functools import lru_cache

from fhir_server.outcomes import Invalid, NotSupported
from fhir_server.search import restrictions
from fhir_server.search.fields import Field, fields
from fhir_server.search.keys import Criterion, any_of, beginning
from fhir_server.search.query import (
    Condition,
    Either,
    Filter,
    InValueSet,
    PartOf,
    Presence,
    Route,
    Subsumed,
)
from fhir_server.search.registry import SearchParameter, parameters
from fhir_server.search.scope import Scope, Unknown, listed
from fhir_server.search.types import composite, reference, search_type, special, token
from fhir_server.search.types.uri import MAX_URL
from fhir_server.search.types.values import refuse_modifier, unescape

_OPERATORS = ("equals", "ends")
_HIERARCHIES = ("partof", "part-of", "parent")


def ordinary(scope: Scope, name: str, value: str) -> Filter:
    """The filter of `code:modifier=value,value`; raises Unknown for a parameter that one of the types lacks."""
    code, _, modifier = name.partition(":")
    if modifier in _OPERATORS and not scope.filtering:
        raise NotSupported(f"Modifier ':{modifier}' is not supported for search parameter '{code[:64]}'.")
    values = listed(code, value)
    text = ",".join(sorted(set(values)))
    alone = len(scope.types) == 1
    found = [parameter(type_name, code, alone=alone) for type_name in scope.types]
    for one in found:
        restrictions.check(one, modifier, values)
    if modifier == "missing":
        if any(one.type == "composite" for one in found):
            raise NotSupported(f"Composite parameters such as '{code}' take no modifiers.")
        if value not in ("true", "false"):
            raise Invalid(f"The value of '{code}:missing' is either true or false.")
        missing = value == "true"
        return Filter(name, text, either([Presence(p.resource_type, code, missing) for p in found]))
    negated = modifier in ("not", "not-in")
    condition = either([_condition(scope, one, modifier, values) for one in found])
    field = fields(scope.types[0]).get(code) if alone else None
    return Filter(
        name,
        text,
        condition,
        negated=negated,
        single=field is not None and not field.many,
        otherwise=_otherwise(field, condition) if negated and field is not None else None,
    )


def parameter(type_name: str, code: str, *, alone: bool) -> SearchParameter:
    """The parameter of this type; raises Unknown, with what is near to its name."""
    found = parameters(type_name).get(code)
    if found is not None and found.supported:
        return found
    if found is not None and not found.complete:
        raise Unknown(restrictions.incomplete(found))
    if found is not None:
        raise Unknown(NotSupported(f"Search parameter '{code[:64]}' of {type_name} is not supported."))
    if not alone:
        raise Unknown(
            Invalid(f"Search parameter '{code[:64]}' is not common to all types searched ({type_name} has none).")
        )
    near = difflib.get_close_matches(code, parameters(type_name), n=3)
    hint = f" Near it are: {', '.join(near)}." if near else ""
    raise Unknown(Invalid(f"{type_name} has no search parameter '{code[:64]}'.{hint}"))


def either(conditions: Sequence[Condition]) -> Condition:
    """Any of these, criteria taken together."""
    together = any_of(one for one in conditions if isinstance(one, Criterion))
    others: list[Condition] = [one for one in conditions if not isinstance(one, Criterion)]
    if not others:
        return together
    if together != Criterion():
        others.append(together)
    return others[0] if len(others) == 1 else Either(tuple(others))


def _condition(scope: Scope, one: SearchParameter, modifier: str, values: Sequence[str]) -> Condition:
    """Any of the values, in one type."""
    settings = scope.settings
    if one.type == "composite":
        return either([composite.condition(one, modifier, value, settings) for value in values])
    if one.type == "special":
        return either([special.criterion(one, modifier, value) for value in values])
    field = fields(one.resource_type)[one.code]
    if one.type == "token" and modifier in ("in", "not-in"):
        if any(len(value) > MAX_URL for value in values):
            raise Invalid(f"Search parameter '{one.code[:64]}' takes URLs of up to {MAX_URL} characters.")
        return either([InValueSet(one, unescape(value)) for value in values])
    if one.type == "token" and modifier in ("above", "below"):
        return either([_subsumed(field, value, above=modifier == "above") for value in values])
    if one.type == "reference" and modifier in ("above", "below") and not _is_url(values):
        return either([_part_of(scope, field, value, above=modifier == "above") for value in values])
    kind = search_type(one.type)
    return any_of(kind.criterion(field, modifier, value, settings) for value in values)


def _subsumed(field: Field, value: str, *, above: bool) -> Condition:
    if field.types <= {"Identifier", "ContactPoint", "boolean", "TrueUnlessFalse", "id", "string"}:
        raise refuse_modifier(field, "above" if above else "below")
    system, code = token.parse(field, value)
    if not code:
        raise Invalid(f"Search parameter '{field.parameter.code}' needs a code for :above and :below.")
    return Subsumed(field.parameter, system, code, above)


def _is_url(values: Sequence[str]) -> bool:
    return any(":" in value for value in values)


def _part_of(scope: Scope, field: Field, value: str, *, above: bool) -> Condition:
    """`location:below=42`: for targets that are part of one another."""
    trees = [route for route in routes(field) if any(code in parameters(route.target) for code in _HIERARCHIES)]
    if not trees:
        raise refuse_modifier(field, "above" if above else "below")
    targets = {route.target for route in trees}
    asked = reference.local(unescape(value), scope.settings.base_url + "/")
    ids = [asked[0]] if asked else [f"{target}/{unescape(value)}" for target in sorted(targets)]
    return PartOf(tuple(trees), tuple(ids), above)


def parents(resource_type: str) -> tuple[Route, ...]:
    """The references by which resources of this type are part of others of the same type."""
    by_code = fields(resource_type)
    named = [by_code[code] for code in _HIERARCHIES if code in by_code]
    return tuple(route for field in named for route in routes(field) if route.target == resource_type)


@lru_cache(8192)
def routes(field: Field, target: str = "") -> tuple[Route, ...]:
    """Where the references of a parameter are stored, by the type they lead to (or only to `target`)."""
    found: dict[Route, None] = {}
    canonical = bool(field.types & {"canonical", "uri"})
    for source in field.sources:
        for one in (source.target,) if source.target else reference.possible(field, source):
            if target in ("", one):
                found[Route(f"{source.number}>", one, canonical)] = None
    return tuple(found)


def _otherwise(field: Field, condition: Condition) -> Condition | None:
    """What a resource without these keys has: other keys of the parameter, or no value for it.

    Only the index is to gain by it, so nothing is said where that would be long, or uncertain.
    """
    if not isinstance(condition, Criterion) or condition != Criterion(keys=condition.keys):
        return None
    marks: dict[str, list[str]] = {}
    for key in condition.keys:
        marks.setdefault(key[:4], []).append(key)
    with_system = any(mark.endswith("|") for mark in marks)
    if len(condition.keys) > 20 or (with_system and not field.types <= token.CODED):
        return None
    gaps: list[tuple[str, str]] = []
    for mark, keys in marks.items():
        first, last = beginning(mark)
        for key in sorted(keys):
            gaps.append((first, key))
            first = key + "\0"
        gaps.append((first, last))
    without_code = tuple(f"{source.number}=" for source in field.sources)
    missing = Presence(field.parameter.resource_type, field.parameter.code, True)
    return Either((missing, Criterion(keys=without_code, between=tuple(gaps))))
