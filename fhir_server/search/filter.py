"""`_filter`: a condition of and, or and not over ordinary parameters: https://hl7.org/fhir/R4/search_filter.html."""

from __future__ import annotations

from dataclasses import replace

from fhir_server.outcomes import Invalid, NotSupported
from fhir_server.search.chain import Read
from fhir_server.search.criteria import either
from fhir_server.search.filter_expression import And, Comparison, Expression, Not, Or, as_parameters, parse
from fhir_server.search.keys import Criterion
from fhir_server.search.query import Both, Condition, Except, Filter
from fhir_server.search.registry import type_number
from fhir_server.search.scope import Scope

MAX_COMPARISONS = 2_000  # of one `_filter`, times the resource types searched


def filtered(scope: Scope, name: str, value: str, read: Read) -> Filter:
    """The filter of `_filter=name co "pet" and birthdate ge 1996`; `read` understands an ordinary parameter."""
    if name != "_filter":
        raise NotSupported("Parameter '_filter' takes no modifier.")
    expression = parse(value)
    if _comparisons(expression) * len(scope.types) > MAX_COMPARISONS:
        raise Invalid("Parameter '_filter' has too many comparisons for so many resource types.")
    return Filter(name, value, either([_condition(scope, one, expression, read) for one in scope.types]))


def _comparisons(expression: Expression) -> int:
    match expression:
        case And(parts) | Or(parts):
            return sum(map(_comparisons, parts))
        case Not(part):
            return _comparisons(part)
    return 1


def _condition(scope: Scope, resource_type: str, expression: Expression, read: Read) -> Condition:
    match expression:
        case And(parts):
            return Both(tuple(_condition(scope, resource_type, part, read) for part in parts))
        case Or(parts):
            return either([_condition(scope, resource_type, part, read) for part in parts])
        case Not(part):
            return _except(resource_type, _condition(scope, resource_type, part, read))
        case Comparison():
            return _comparison(scope, resource_type, expression, read)


def _comparison(scope: Scope, resource_type: str, comparison: Comparison, read: Read) -> Condition:
    inner = replace(scope.inside((resource_type,)), filtering=True)
    parts: list[Condition] = []
    for one in as_parameters(comparison, resource_type):
        found = read(inner, one.name, one.value)
        condition = found.condition
        for negated in (found.negated, one.negated):
            condition = _except(resource_type, condition) if negated else condition
        parts.append(condition)
    return parts[0] if len(parts) == 1 else Both(tuple(parts))


def _except(resource_type: str, condition: Condition) -> Condition:
    """Resources of the type for which it does not hold."""
    return Both((Criterion(keys=(type_number(resource_type),)), Except(condition)))
