"""What evaluating one value set may cost: whoever stores a value set decides how much work it is to expand."""

from __future__ import annotations

from fhir_server.outcomes import TooCostly

MAX_CODES = 50_000  # of one expansion
MAX_EFFORT = 2_000_000  # concepts looked at, and steps of regular expressions: a few seconds at most


class Effort:
    """A budget that one expansion, with everything it imports, spends."""

    def __init__(self, limit: int = MAX_EFFORT) -> None:
        self._left = limit

    def spend(self, amount: int) -> None:
        """Raises TooCostly (400) when nothing is left."""
        self._left -= amount
        if self._left < 0:
            raise TooCostly("Working out this value set costs more than the server allows.")
