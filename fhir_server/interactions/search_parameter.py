"""A SearchParameter that is active must be one that this server can search by.

https://hl7.org/fhir/R4/searchparameter.html · docs/decisions/0011-custom-search-parameters.md
"""

from __future__ import annotations

from typing import Any

from fhir_server.outcomes import Issue
from fhir_server.registry import checked
from fhir_server.search import custom


@checked("SearchParameter")
def usable(resource: dict[str, Any]) -> list[Issue]:
    """What keeps it from being used; as a warning, where another parameter keeps its place."""
    return custom.issues(resource)
