"""One change of one resource, as what follows the change stream is told of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fhir_server.storage.stored import Stored

Interaction = Literal["create", "update", "delete"]


@dataclass(frozen=True, slots=True)
class Change:
    """A committed version and the one before it; `after` is a deletion's marker (`deleted`), never None.

    A resource that comes back after its deletion is created; `before` is None then, as for a new one. `at` is the
    version's lastUpdated in microseconds since 1970.
    """

    type: str
    id: str
    version: int
    interaction: Interaction
    at: int
    after: Stored
    before: Stored | None = None

    @property
    def key(self) -> str:
        """The resource: "Observation/7"."""
        return f"{self.type}/{self.id}"

    @property
    def version_key(self) -> str:
        """The version: "Observation/7/_history/3"."""
        return f"{self.type}/{self.id}/_history/{self.version}"
