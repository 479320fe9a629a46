"""Who somebody is: the caller behind a reference, and the persons behind a role, a team or a house."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fhir_server.access import Principal
from fhir_server.access.principal import SYSTEM
from fhir_server.context import Context
from fhir_server.search.compile import compile
from fhir_server.search.parse import conditional

Json = dict[str, Any]
MOST = 200  # persons behind one reference
PERSONS = ("Practitioner/", "Patient/", "RelatedPerson/")


def names(principal: Principal) -> frozenset[str]:
    """The references that mean the caller: their own, their PractitionerRoles, Organizations and CareTeams."""
    return principal.organizations | {principal.user} if principal.user else frozenset()


def is_me(principal: Principal, reference: Json | None) -> bool:
    """Whether a Reference means the caller, in person or by role, house or team."""
    return key(reference) in names(principal)


def key(reference: Json | None) -> str:
    """The "Type/id" of a Reference to a resource of this server; "" for anything else."""
    text = str((reference or {}).get("reference", "")).partition("/_history/")[0]
    return text if text.count("/") == 1 else ""


async def find(ctx: Context, type_: str, query: str, *, limit: int = MOST) -> list[Json]:
    """Current resources that a search finds, whoever may see them: for the server's own decisions."""
    wanted = compile(conditional(type_, query, ctx.base_url)).filter
    return [row.resource() for row in await ctx.repository.find(SYSTEM, wanted, limit=limit)]


async def read(ctx: Context, reference: Json | None) -> Json | None:
    """The resource behind a Reference, as it is now, whoever may see it; None when there is none."""
    type_, _, id_ = key(reference).partition("/")
    if not id_:
        return None
    if ctx.unit is not None and (change := ctx.unit.writes.get(f"{type_}/{id_}")) is not None:
        return change.pending().resource() if change.resource is not None else None
    stored = await ctx.repository.read(SYSTEM, type_, id_)
    return stored.resource() if stored is not None and not stored.deleted else None


async def persons(ctx: Context, references: Iterable[Json | None]) -> list[str]:
    """The people behind these References, "Practitioner/1", each once, in order: at most MOST of each.

    A PractitionerRole is its practitioner; an Organization or a HealthcareService those who have an active role
    there; a CareTeam its members. What is not there, or is nobody, is left out.
    """
    found: dict[str, None] = {}
    for reference in references:
        found |= dict.fromkeys(await _persons(ctx, key(reference), teams=True))
    return list(found)


async def _persons(ctx: Context, reference: str, *, teams: bool) -> list[str]:
    if reference.startswith(PERSONS):
        return [reference]
    match reference.partition("/")[0]:
        case "PractitionerRole":
            role = await read(ctx, {"reference": reference})
            return [one for one in [key((role or {}).get("practitioner"))] if one]
        case "Organization":
            return await _in_roles(ctx, f"organization={reference}&active=true")
        case "HealthcareService":
            return await _in_roles(ctx, f"service={reference}&active=true")
        case "CareTeam" if teams:
            team = await read(ctx, {"reference": reference}) or {}
            members = [key(one.get("member")) for one in team.get("participant", ())]
            return [one for member in members for one in await _persons(ctx, member, teams=False)]
    return []


async def _in_roles(ctx: Context, query: str) -> list[str]:
    roles = await find(ctx, "PractitionerRole", query)
    return [one for one in (key(role.get("practitioner")) for role in roles) if one]
