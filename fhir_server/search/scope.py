"""What a parameter of a query is read against: the resource types searched, and how deep in a chain."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fhir_server.outcomes import FhirError, Invalid
from fhir_server.search.types.values import Settings, split

MAX_VALUES = 1000  # of one comma list
MAX_DEPTH = 8  # of chains and _has


@dataclass(frozen=True, slots=True)
class Scope:
    """The types searched; inside a chain, those at its end."""

    types: tuple[str, ...]
    settings: Settings
    depth: int = 0
    filtering: bool = False  # inside _filter, which has operators of its own

    def inside(self, types: tuple[str, ...]) -> Scope:
        """The scope one step further along a chain; Invalid (400) when that is too deep."""
        if self.depth >= MAX_DEPTH:
            raise Invalid(f"Chains and _has go up to {MAX_DEPTH} steps deep.")
        return replace(self, types=types, depth=self.depth + 1)


class Unknown(Exception):
    """A parameter that is not known or not there yet: `handling=lenient` may pass over it."""

    def __init__(self, error: FhirError) -> None:
        super().__init__(str(error))
        self.error = error


def listed(name: str, value: str) -> list[str]:
    """The values of a comma list, escapes still in; Invalid (400) when one is empty or there are too many."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Invalid(f"Search parameter '{name[:64]}' is not valid Unicode.") from None
    if not value.strip():
        raise Invalid(f"Search parameter '{name[:64]}' has no value.")
    values = split(value, ",")
    if len(values) > MAX_VALUES:
        raise Invalid(f"Search parameter '{name[:64]}' takes up to {MAX_VALUES} values.")
    if any(not text for text in values):
        raise Invalid(f"Search parameter '{name[:64]}' has an empty value in its list.")
    return values
