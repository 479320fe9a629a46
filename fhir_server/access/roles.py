"""What a role opens: access/roles.toml, read once."""

from __future__ import annotations

from typing import Any

from fhir_server.access.compartment import SHARED, of_patients
from fhir_server.access.principal import Principal

Document = dict[str, Any]


def condition(principal: Principal, role: str, type_: str, action: str) -> Document | None:
    """Which resources of the type a role opens the action on: {} all, None none."""
    if role in ("patient", "proxy"):
        if type_ in SHARED:
            return {} if action in "rs" else None
        return of_patients(type_, principal.own)
    return {} if role else None
