"""What the patients' Consents forbid or open: https://hl7.org/fhir/R4/consent.html"""

from __future__ import annotations

from typing import Any

from fhir_server.access.principal import Principal

Document = dict[str, Any]


def restriction(principal: Principal, type_: str, action: str) -> Document:
    """What the resources of a type must fit for the action not to be forbidden by a Consent; {} when none is."""
    return {}
