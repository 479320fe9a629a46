"""What one request may cost: whoever stores a value set or a concept map decides how much work it is."""

from __future__ import annotations

from fhir_server.outcomes import TooCostly

MAX_CODES = 50_000  # of one expansion
MAX_EFFORT = 2_000_000  # concepts looked at, and steps of regular expressions: a few seconds at most
LOOK_UP = 1000  # of it for each code system that has to be asked for


class Effort:
    """A budget that one request, with everything that its definitions lead to, spends."""

    def __init__(self, limit: int = MAX_EFFORT) -> None:
        self.left = limit

    def spend(self, amount: int) -> None:
        """Raises TooCostly (400) when nothing is left."""
        self.left -= amount
        if self.left < 0:
            raise TooCostly("Working this out costs more than the server allows.")
