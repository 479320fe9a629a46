"""What a custom search parameter does not let searches say, and that it is not searched by before it is complete.

https://hl7.org/fhir/R4/searchparameter-definitions.html#SearchParameter.multipleOr and the elements below it
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fhir_server.definitions import RESOURCE_TYPES
from fhir_server.outcomes import FhirError, NotSupported
from fhir_server.search.query import Filter
from fhir_server.search.registry import SearchParameter, find, progress
from fhir_server.search.types.values import prefix

_RANGED = ("date", "number", "quantity")


def incomplete(parameter: SearchParameter) -> FhirError:
    """The refusal (400) of a parameter whose keys are not in all resources yet, with how far they are."""
    done = progress(parameter.resource_type)
    return NotSupported(
        f"Search parameter '{parameter.code}' of {parameter.resource_type} is being indexed ({done}) and cannot be "
        "searched by yet.",
        code="incomplete",
    )


def check(parameter: SearchParameter, modifier: str, values: Sequence[str]) -> None:
    """Raise NotSupported (400) for values or a modifier that the parameter's definition leaves out."""
    limits = parameter.restrictions
    if limits.one_value and len(values) > 1:
        raise _refused(parameter, "takes one value, no list")
    if modifier and limits.modifiers and _code(modifier) not in limits.modifiers:
        raise _refused(parameter, f"takes no modifier ':{modifier[:64]}'")
    if limits.comparators and parameter.type in _RANGED:
        for value in values:
            comparison, rest = prefix(value)
            if rest != value and comparison not in limits.comparators:
                raise _refused(parameter, f"takes no '{comparison}'")


def check_chain(parameter: SearchParameter, code: str) -> None:
    """Raise NotSupported (400) when the definition names what may be behind the point, and this is not among it."""
    chains = parameter.restrictions.chains
    if chains and code not in chains:
        raise _refused(parameter, f"is not chained to '{code[:64]}'")


def check_once(types: Iterable[str], filters: Sequence[Filter]) -> None:
    """Raise NotSupported (400) for a repeated parameter whose definition says that it is given once."""
    names = [one.code for one in filters if "." not in one.name]
    if len(set(names)) == len(names):
        return
    for code in {name for name in names if names.count(name) > 1}:
        for found in (find(one, code) for one in types):
            if found is not None and found.restrictions.once:
                raise _refused(found, "is given once")


def _code(modifier: str) -> str:
    """The modifier as R4 codes it: https://hl7.org/fhir/R4/valueset-search-modifier-code.html"""
    if modifier in RESOURCE_TYPES:
        return "type"
    return "ofType" if modifier == "of-type" else modifier


def _refused(parameter: SearchParameter, rule: str) -> FhirError:
    return NotSupported(f"By its definition, search parameter '{parameter.code}' {rule}.")
