"""Is this a FHIR R4 resource? Structure, primitives, required bindings, references, Bundle rules and narrative.

https://hl7.org/fhir/R4/validation.html · how it is built: docs/decisions/0003
"""

from __future__ import annotations

from typing import Any

from fhir_server.outcomes import Issue
from fhir_server.validation.explain import explain
from fhir_server.validation.fast import is_surely_valid

__all__ = ["validate"]


def validate(resource: Any, *, expect_type: str | None = None, conditional_references: bool = False) -> list[Issue]:
    """Every way in which this decoded JSON breaks the definition of its type; [] when it is valid.

    `resource` is what fhir_server.json.decode gives. `expect_type` is the resource type of the URL.
    `conditional_references` allows `Patient?identifier=…` as a reference, as a transaction Bundle may have before
    it is resolved. Each Issue is an error with an R4 issue code, a rule, and one FHIRPath expression
    (`Patient.name[0].given[1]`); values are never repeated.
    """
    if is_surely_valid(resource) and expect_type in (None, resource["resourceType"]):
        return []
    return explain(resource, expect_type, conditional_references)
