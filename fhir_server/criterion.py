"""A conditional criterion: what fits it, and the guard that makes "none, so create" happen once.

https://hl7.org/fhir/R4/http.html#ccreate · docs/decisions/0008-guards.md
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fhir_server.access import Principal
from fhir_server.joins import Joins
from fhir_server.outcomes import Invalid, MultipleMatches, TooCostly
from fhir_server.search.compile import compile as compile_query
from fhir_server.search.memory import matches
from fhir_server.search.parse import conditional
from fhir_server.search.query import Query
from fhir_server.storage.repository import Repository
from fhir_server.storage.stored import Stored
from fhir_server.storage.unit_of_work import Guard, Write


@dataclass(frozen=True, slots=True)
class Match:
    """What a criterion found: one resource, or none and the guard to create under."""

    stored: Stored | None
    guard: Guard | None = None


@dataclass(slots=True)
class Criterion:
    """`type?text` as one caller asks it; `found` and `seen` are what the database said."""

    type: str
    query: Query
    base_url: str
    guard_id: str
    filter: dict[str, Any] = field(default_factory=dict)
    found: list[Stored] = field(default_factory=list)
    seen: int = -1  # the guard counter, read before the search; -1 until then

    @classmethod
    def of(cls, type_: str, text: str, *, base_url: str) -> Criterion:
        """Parse "identifier=system|value"; raises FhirError (400) when it is no criterion."""
        if "\0" in text or "%00" in text:
            raise Invalid("A condition contains a NUL character.")
        query = conditional(type_, text, base_url)
        # The same for all callers: two who see the same create one. Who does not see the other's searches anew.
        identity = f"{type_}?{query.canonical()}"
        return cls(type_, query, base_url, hashlib.sha256(identity.encode()).hexdigest()[:40])

    async def search(self, repository: Repository, principal: Principal, *, limit: int = 2) -> None:
        """Ask the database again."""
        joins = Joins(repository, principal, self.base_url, presence=False)
        self.filter = compile_query(await joins.resolve(self.query)).filter
        self.found = found = await repository.find(principal, self.filter, limit=limit)
        if found.cut:
            raise TooCostly("The condition fits more than can be held at once.")

    def match(self, pending: Mapping[str, Write]) -> Match:
        """The one that fits, with a unit's pending writes in place of what the database still says."""
        found = self.all(pending)
        if len(found) > 1:
            raise MultipleMatches("The condition fits more than one resource.")
        return Match(found[0]) if found else Match(None, Guard(self.guard_id, self.seen))

    def all(self, pending: Mapping[str, Write]) -> list[Stored]:
        """Everything that fits."""
        found = [stored for stored in self.found if stored.key not in pending]
        for write in pending.values():
            if write.type == self.type and write.resource is not None and matches(self.filter, write.envelope()):
                found.append(write.pending())
        return found
