"""The search parameters of each type, and the nodes that one selects in a resource."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from fhir_server.definitions import RESOURCE_TYPES, SearchParameter, search_parameters, type_definition
from tests.oracle.expressions import Json, Node, evaluate, parse, root

# R4 names the definitions of this composite's components the wrong way round: `code` is no reference.
ERRATUM = "http://hl7.org/fhir/SearchParameter/DocumentReference-relationship"
UNDEFINED = {"_text", "_content", "_query"}  # the text leaves what they find to the server


@cache
def parameters_of(type_name: str) -> Mapping[str, SearchParameter]:
    """Code → parameter, with those of Resource and DomainResource; only parameters with an expression."""
    bases = {type_name, type_definition(type_name).base, "Resource"}
    return {
        each.code: each
        for each in search_parameters()
        if each.expression and each.code not in UNDEFINED and bases.intersection(each.base)
    }


@cache
def parameter_at(url: str) -> SearchParameter:
    """The parameter with this canonical URL, as the components of a composite name theirs."""
    return next(each for each in search_parameters() if each.url == url)


@cache
def components(parameter: SearchParameter) -> tuple[tuple[SearchParameter, str], ...]:
    """The parameter and the expression of each component of a composite."""
    definitions = [parameter_at(each.definition) for each in parameter.component]
    if parameter.url == ERRATUM:
        definitions.reverse()
    return tuple((one, each.expression) for one, each in zip(definitions, parameter.component, strict=True))


@cache
def targets(parameter: SearchParameter) -> frozenset[str]:
    """The types a reference parameter may point to: all when it names none."""
    return RESOURCE_TYPES.intersection(parameter.target) or RESOURCE_TYPES


def select(parameter: SearchParameter, resource: Json) -> list[Node]:
    """The nodes of one resource that the parameter's expression selects."""
    focus = root(resource)
    return evaluate(parse(parameter.expression), [focus], focus)
