"""Is this a FHIR R4 resource? Structure, R4's invariants, and profiles: https://hl7.org/fhir/R4/validation.html

How structure is built: docs/decisions/0003 · invariants and profiles: docs/decisions/0012
"""

from __future__ import annotations

from typing import Any

from fhir_server.outcomes import Issue
from fhir_server.validation.answers import Answers
from fhir_server.validation.profiles.profile import Profile, ProfileError
from fhir_server.validation.profiles.profile import read as read_profile
from fhir_server.validation.validator import Level, Validator, structure

__all__ = ["Answers", "Level", "Profile", "ProfileError", "Validator", "read_profile", "validate"]


def validate(resource: Any, *, expect_type: str | None = None, conditional_references: bool = False) -> list[Issue]:
    """Every way in which this decoded JSON breaks the definition of its type; [] when it is valid: structure alone.

    `resource` is what fhir_server.json.decode gives. `expect_type` is the resource type of the URL.
    `conditional_references` allows `Patient?identifier=…` as a reference, as a transaction Bundle may have before
    it is resolved. Each Issue is an error with an R4 issue code, a rule, and one FHIRPath expression
    (`Patient.name[0].given[1]`); values are never repeated.
    """
    return structure(resource, expect_type, conditional_references)
