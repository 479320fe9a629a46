"""What is below and above a code: `:below` and `:above` of https://hl7.org/fhir/R4/search.html#token.

"Subsumed by the specified value (is-a, or hierarchical relationships)": whatever the hierarchy means.
"""

from __future__ import annotations

from collections.abc import Callable

from fhir_server.access import Principal
from fhir_server.outcomes import Invalid, NotSupported, TooCostly
from fhir_server.storage.repository import Repository
from fhir_server.terminology.codesystem import CodeSystem
from fhir_server.terminology.effort import MAX_CODES
from fhir_server.terminology.resolve import Resolver

Pairs = frozenset[tuple[str, str]]


async def below(repository: Repository, principal: Principal, base_url: str, system: str | None, code: str) -> Pairs:
    """(system, code) of this code and of all that it subsumes.

    Raises NotSupported (400) when the code system, named, or its codes are not here, Invalid (400, code-invalid) when
    it does not have the code or none is named, TooCostly (400) beyond MAX_CODES.
    """
    return await _related(Resolver(repository, principal, base_url), system, code, CodeSystem.descendants)


async def above(repository: Repository, principal: Principal, base_url: str, system: str | None, code: str) -> Pairs:
    """(system, code) of this code and of all that subsume it; raises as `below` does."""
    return await _related(Resolver(repository, principal, base_url), system, code, CodeSystem.ancestors)


async def _related(
    resolver: Resolver, url: str | None, code: str, closure: Callable[[CodeSystem, str], list[str]]
) -> Pairs:
    if not url or not code:
        # A code alone could be of any system, also of one whose hierarchy is not here: a part would pass for all.
        raise Invalid("':below' and ':above' need a code with its code system: system|code.")
    system = await resolver.code_system(url)
    starts = system.matching(code)
    if not starts and system.is_partial:
        raise NotSupported(f"Code system {url} is on this server only in part, without this code.")
    if not starts:
        raise Invalid(f"Code system {url} has no such code.", code="code-invalid")
    found = frozenset((url, one) for start in starts for one in closure(system, start))
    if len(found) > MAX_CODES:
        raise TooCostly(f"More than {MAX_CODES} codes are related to this one.")
    return found
