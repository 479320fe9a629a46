"""What is below and above a code: `:below` and `:above` of https://hl7.org/fhir/R4/search.html#token.

"Subsumed by the specified value (is-a, or hierarchical relationships)": whatever the hierarchy means.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from fhir_server.access import Principal
from fhir_server.outcomes import Invalid, NotFound, NotSupported, TooCostly
from fhir_server.storage.repository import Repository
from fhir_server.terminology.effort import MAX_CODES
from fhir_server.terminology.resolve import Resolver
from fhir_server.terminology.system import System, find

Pairs = frozenset[tuple[str, str]]


async def below(repository: Repository, principal: Principal, base_url: str, system: str | None, code: str) -> Pairs:
    """(system, code) of this code and of all that it subsumes.

    Raises NotSupported (400) when the code system, named, or its codes are not here, Invalid (400, code-invalid) when
    it does not have the code or none is named, TooCostly (400) beyond MAX_CODES.
    """
    return await _related(Resolver(repository, principal, base_url), system, code, _below)


async def above(repository: Repository, principal: Principal, base_url: str, system: str | None, code: str) -> Pairs:
    """(system, code) of this code and of all that subsume it; raises as `below` does."""
    return await _related(Resolver(repository, principal, base_url), system, code, _above)


async def _below(system: System, code: str) -> Iterable[str]:
    return await system.below(code, MAX_CODES + 1)


async def _above(system: System, code: str) -> Iterable[str]:
    return (await system.above([code])).get(code, ())


async def _related(
    resolver: Resolver, url: str | None, code: str, closure: Callable[[System, str], Awaitable[Iterable[str]]]
) -> Pairs:
    if not url or not code:
        # A code alone could be of any system, also of one whose hierarchy is not here: a part would pass for all.
        raise Invalid("':below' and ':above' need a code with its code system: system|code.")
    system = await resolver.code_system(url)
    starts = await system.matching(code)
    if not starts and system.is_partial:
        raise NotSupported(f"Code system {url} is on this server only in part, without this code.")
    if not starts:
        raise Invalid(f"Code system {url} has no such code.", code="code-invalid")
    found: set[tuple[str, str]] = set()
    for start in starts:
        found.update((url, one) for one in await closure(system, start))
    if len(found) > MAX_CODES:
        raise TooCostly(f"More than {MAX_CODES} codes are related to this one.")
    return frozenset(found)


async def subsumes(
    repository: Repository, principal: Principal, base_url: str, system: str, a: str, b: str, version: str = ""
) -> str:
    """ "equivalent", "subsumes" (a is above b), "subsumed-by" or "not-subsumed".

    https://hl7.org/fhir/R4/codesystem-operation-subsumes.html. Raises NotFound (404: `not-found` the system,
    `code-invalid` a code), NotSupported (400) where the codes or an is-a hierarchy are not here.
    """
    found = await Resolver(repository, principal, base_url).known_code_system(system, version)
    if found is None:
        raise NotFound(f"Code system {system[:200]} is not known to this server.")
    found.check_listed()
    codes: list[str] = []
    for code in (a, b):
        concept = await find(found, code)
        if concept is None:
            raise NotFound(f"Code system {system[:200]} has no code '{code[:64]}'.", code="code-invalid")
        codes.append(concept.code)
    if codes[0] == codes[1]:
        return "equivalent"
    if not found.is_a:
        raise NotSupported(f"The hierarchy of code system {found.url} is {found.hierarchy_meaning}, not is-a.")
    above_of = await found.above(codes)
    if codes[0] in above_of[codes[1]]:
        return "equivalent" if codes[1] in above_of[codes[0]] else "subsumes"
    return "subsumed-by" if codes[1] in above_of[codes[0]] else "not-subsumed"
