"""`$closure`: a client's table of who subsumes whom, kept up to date code by code.

https://hl7.org/fhir/R4/conceptmap-operation-closure.html · https://hl7.org/fhir/R4/terminology-service.html#closure
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fhir_server.access import Principal
from fhir_server.outcomes import Conflict, Invalid, TooCostly
from fhir_server.storage.closures import Closures, Pair, Table
from fhir_server.storage.repository import Repository
from fhir_server.terminology.coding import Coding
from fhir_server.terminology.effort import Effort
from fhir_server.terminology.resolve import Resolver
from fhir_server.terminology.system import find

Json = dict[str, Any]

MAX_CONCEPTS = 10_000  # of one table
MAX_NEW = 8_000_000  # characters of the pairs that one call adds: they are one document
TOGETHER = 20  # concepts whose ancestors are in memory at a time
ATTEMPTS = 5


async def closure(
    repository: Repository,
    principal: Principal,
    base_url: str,
    name: str,
    concepts: Sequence[Coding] = (),
    version: str | None = None,
) -> Json:
    """The ConceptMap of what is new; with neither concepts nor version the table begins anew.

    With `version` everything that was new after it. Raises Invalid (400): `not-found` for a table never begun,
    `code-invalid` for an unknown code, `value` for a version that there never was; NotSupported (400) for a code
    system whose codes are not here; TooCostly beyond MAX_CONCEPTS, and for more relations than one call may find.
    """
    tables = Closures(repository.database, principal)
    if not concepts and version is None:
        await tables.begin(name)
        return _map(name, 0, [])
    if version is not None and not version.isdecimal():
        raise Invalid("The version of a closure table is a number that this server gave.", code="value")
    added: list[Pair] = []
    for _ in range(ATTEMPTS):
        table = await tables.read(name)
        if table is None:
            raise Invalid(f"Closure table '{name[:64]}' was never begun.", code="not-found")
        resolver = Resolver(repository, principal, base_url)
        new = await _new(resolver, table, concepts)
        if not new:
            break
        added = await _pairs(resolver, table, new)
        if await tables.add(name, table, new, added):
            table = replace(table, version=table.version + 1)
            break
    else:
        raise Conflict("The closure table is changed by others all the time; try again.")
    if version is not None:
        if int(version) > table.version:
            raise Invalid(f"Closure table '{name[:64]}' has no version {version[:16]} yet.", code="value")
        added = await tables.since(name, table, int(version))
    return _map(name, table.version, added)


async def _new(resolver: Resolver, table: Table, concepts: Sequence[Coding]) -> list[tuple[str, str]]:
    """The codes that the table has not seen."""
    found: dict[tuple[str, str], None] = {}
    for one in concepts:
        system = await resolver.code_system(one.system, one.version)
        concept = await find(system, one.code)
        if concept is None:
            raise Invalid(f"Code system {one.system[:200]} has no code '{one.code[:64]}'.", code="code-invalid")
        found[system.url, concept.code] = None
    new = [key for key in found if key not in table.codes]
    if len(new) + len(table.codes) > MAX_CONCEPTS:
        raise TooCostly(f"A closure table has up to {MAX_CONCEPTS} concepts.")
    return new


async def _pairs(resolver: Resolver, table: Table, new: Sequence[tuple[str, str]]) -> list[Pair]:
    """Who of the new codes is below or above whom."""
    pairs: list[Pair] = []
    effort, size = Effort(), 0
    for url in dict.fromkeys(system for system, _ in new):
        system = await resolver.code_system(url)
        fresh = {code for one, code in new if one == url}
        known = sorted(fresh | {code for one, code in table.codes if one == url})
        among = frozenset(known)
        for start in range(0, len(known), TOGETHER):
            await asyncio.sleep(0)
            above = await system.above(known[start : start + TOGETHER])
            for code in sorted(above):
                effort.spend(len(above[code]))
                over = sorted((above[code] & among) - {code})
                found = [(url, code, one) for one in over if code in fresh or one in fresh]
                size += sum(len(url) + len(code) + len(one) + 40 for _, _, one in found)
                if size > MAX_NEW:
                    raise TooCostly("So many concepts at once are related too often: add fewer with each call.")
                pairs += found
    return pairs


def _map(name: str, version: int, pairs: Sequence[Pair]) -> Json:
    groups: dict[str, dict[str, list[str]]] = {}
    for system, below, above in pairs:
        groups.setdefault(system, {}).setdefault(below, []).append(above)
    resource: Json = {
        "resourceType": "ConceptMap",
        "version": str(version),
        "name": re.sub(r"[^A-Za-z0-9_]", "_", name),
        "status": "active",
        "experimental": True,
    }
    if groups:
        resource["group"] = [
            {
                "source": system,
                "target": system,
                "element": [
                    {"code": code, "target": [{"code": one, "equivalence": "subsumes"} for one in above]}
                    for code, above in elements.items()
                ],
            }
            for system, elements in groups.items()
        ]
    return resource
