"""`:in`, `:not-in`, `:above` and `:below`: the codes that a value set or a code system means.

https://hl7.org/fhir/R4/search.html#token
"""

from __future__ import annotations

from fhir_server import terminology
from fhir_server.definitions import codings
from fhir_server.joins.references import Seeker
from fhir_server.outcomes import TooCostly
from fhir_server.search.fields import Field, fields
from fhir_server.search.keys import Criterion
from fhir_server.search.query import InValueSet, Subsumed
from fhir_server.search.types.token import coded

MAX_CODES = 20_000  # of a value set that is searched by


async def in_value_set(seeker: Seeker, wanted: InValueSet) -> Criterion:
    """Any code of the value set."""
    found = await terminology.codes_in(seeker.repository, seeker.principal, seeker.base_url, wanted.value_set)
    if len(found) > MAX_CODES:
        raise TooCostly(f"A value set with more than {MAX_CODES} codes cannot be searched by.")
    return coded(_field(wanted), sorted(found))


async def subsumed(seeker: Seeker, wanted: Subsumed) -> Criterion:
    """The code, and every one below (or above) it."""
    field = _field(wanted)
    walk = terminology.above if wanted.above else terminology.below
    # The code of a `code` element is of the systems that its binding implies.
    systems = [wanted.system] if wanted.system else _implied(field) or [None]
    found: set[tuple[str, str]] = set()
    for system in systems:
        found |= await walk(seeker.repository, seeker.principal, seeker.base_url, system, wanted.code)
    return coded(field, sorted(found))


def _implied(field: Field) -> list[str | None]:
    return [*dict.fromkeys(system for leaf in field.leaves for system in codings(leaf.value_set) or ())]


def _field(wanted: InValueSet | Subsumed) -> Field:
    return fields(wanted.parameter.resource_type)[wanted.parameter.code]
