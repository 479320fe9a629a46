"""A Consent is part of every query about the patient's record: one that says too much is refused.

https://hl7.org/fhir/R4/consent.html · docs/access.md
"""

from __future__ import annotations

from typing import Any

from fhir_server.access.consents import is_too_large
from fhir_server.access.provisions import MAX_PROVISIONS, MAX_WEIGHT
from fhir_server.outcomes import Issue
from fhir_server.registry import checked


@checked("Consent")
def readable(resource: dict[str, Any]) -> list[Issue]:
    """An error when it names more than the server keeps apart."""
    if not is_too_large(resource):
        return []
    limit = f"A Consent has up to {MAX_PROVISIONS} provisions, which name up to {MAX_WEIGHT} values in all."
    return [Issue("too-costly", limit, ("Consent.provision",))]
