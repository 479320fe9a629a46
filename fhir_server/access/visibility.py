"""What a principal may see, as a condition that storage adds to every query."""

from __future__ import annotations

from typing import Any

from fhir_server.access.principal import Principal
from fhir_server.outcomes import Forbidden


def visible(principal: Principal) -> dict[str, Any]:
    """The MongoDB condition of everything this principal may read; empty when that is everything.

    Until scopes and compartments exist only open principals do; any other sees nothing (403).
    """
    if principal.is_open:
        return {}
    raise Forbidden("This server grants no access to signed-in callers yet.")
