"""SearchParameters, CompartmentDefinitions and OperationDefinitions in compact form."""

from __future__ import annotations

from typing import Any

from fhir_server.definitions.shapes import (
    OperationDefinition,
    OperationParameter,
    SearchComponent,
    SearchParameter,
)
from scripts.definitions.errata import Errata
from scripts.definitions.structures import FHIR, binding

Json = dict[str, Any]


def search_parameter(published: Json) -> SearchParameter:
    """What a server acts on of a SearchParameter."""
    return SearchParameter(
        url=published["url"],
        code=published["code"],
        type=published["type"],
        base=tuple(published["base"]),
        description=published["description"],
        expression=published.get("expression", ""),
        target=tuple(published.get("target", ())),
        component=tuple(SearchComponent(c["definition"], c["expression"]) for c in published.get("component", ())),
        multiple_or=published.get("multipleOr"),
        multiple_and=published.get("multipleAnd"),
        comparator=tuple(published.get("comparator", ())),
        modifier=tuple(published.get("modifier", ())),
        chain=tuple(published.get("chain", ())),
    )


def compartment(published: Json, errata: Errata) -> dict[str, tuple[str, ...]]:
    """Resource type → codes of the search parameters that put it into this compartment; `{def}`: it is the focus."""
    members: dict[str, tuple[str, ...]] = {}
    for resource in published["resource"]:
        params = errata.compartment(published["code"], resource["code"], tuple(resource.get("param", ())))
        if params:
            members[resource["code"]] = params
    return dict(sorted(members.items()))


def operation(published: Json) -> OperationDefinition:
    """An OperationDefinition without its prose."""
    return OperationDefinition(
        url=published["url"],
        code=published["code"],
        name=published["name"],
        description=published["description"],
        kind=published["kind"],
        affects_state=published.get("affectsState", False),
        resource=tuple(published.get("resource", ())),
        system=published["system"],
        type=published["type"],
        instance=published["instance"],
        parameter=tuple(_parameter(p) for p in published.get("parameter", ())),
    )


def _parameter(published: Json) -> OperationParameter:
    return OperationParameter(
        name=published["name"],
        use=published["use"],
        min=published["min"],
        max=None if published["max"] == "*" else int(published["max"]),
        type=published.get("type", ""),
        search_type=published.get("searchType", ""),
        targets=tuple(p.removeprefix(FHIR) for p in published.get("targetProfile", ())),
        binding=binding(published.get("binding")),
        part=tuple(_parameter(p) for p in published.get("part", ())),
    )
