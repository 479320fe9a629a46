"""Whom an emergency is told: those on duty, and everybody when nobody answers.

Only clinicians are told, and of them those who may read the Flag: what is denied to somebody by Consent, or is not
theirs to see, does not reach them as an emergency either.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from extensions.emergency.duty import is_on_duty
from fhir_server.access.principal import ADMINISTRATORS
from fhir_server.context import Context
from fhir_server.storage.stored import Stored
from realtime.socket import is_responder
from workflow.codes import Json, has_code
from workflow.people import find, key

MAX_ROLES = 5000  # active PractitionerRoles that are looked through
BY_SCHEDULE, ONLINE, ESCALATED = "on duty by schedule", "online", "nobody has answered in time"
_PRACTITIONER_ROLE = "http://terminology.hl7.org/CodeSystem/practitioner-role"
_CLINICIANS = ((_PRACTITIONER_ROLE, "doctor"), (_PRACTITIONER_ROLE, "nurse"))
_AT_ONCE = 8  # people whose rights are looked up at the same time

Told = dict[str, str]  # "Practitioner/1" → why they are told


async def on_duty(ctx: Context, flag: Stored) -> Told:
    """Those who work now by PractitionerRole.availableTime, and those who are connected."""
    roles = await _roles(ctx)
    now = datetime.now(ctx.settings.time_zone)
    found = {key(role.get("practitioner")): BY_SCHEDULE for role in roles if is_on_duty(role, now)}
    for user in await _online(ctx):
        found.setdefault(user, ONLINE)
    return await _concerned(ctx, flag, found, roles)


async def everybody(ctx: Context, flag: Stored) -> Told:
    """All who have an active role here, whoever is connected, and the administrators."""
    roles = await _roles(ctx)
    people = [*(key(role.get("practitioner")) for role in roles), *await _online(ctx), *await _administrators(ctx)]
    return await _concerned(ctx, flag, dict.fromkeys(people, ESCALATED), roles)


async def _roles(ctx: Context) -> list[Json]:
    return await find(ctx, "PractitionerRole", "active=true", limit=MAX_ROLES)


async def _online(ctx: Context) -> list[str]:
    online = ctx.state.get("online")
    return [] if online is None else list(await online())


async def _administrators(ctx: Context) -> list[str]:
    auth = ctx.state.get("auth")
    return [] if auth is None else [user.fhir_user async for user in auth.users.with_roles(ADMINISTRATORS)]


async def _concerned(ctx: Context, flag: Stored, found: Told, roles: Iterable[Json]) -> Told:
    """Those of them who are clinicians and may read the Flag; its author needs no telling."""
    author = key(flag.resource().get("author"))
    people = [one for one in found if one.startswith("Practitioner/") and one != author]
    by_role = {key(role.get("practitioner")) for role in roles if _is_clinical(role)}
    turn = asyncio.Semaphore(_AT_ONCE)

    async def may(person: str) -> bool:
        async with turn:
            return await _may(ctx, flag, person, person in by_role)

    concerned = await asyncio.gather(*map(may, people))
    return {person: found[person] for person, told in zip(people, concerned, strict=True) if told}


async def _may(ctx: Context, flag: Stored, person: str, by_role: bool) -> bool:
    """By their account; who has none here signs in elsewhere, if at all, and is what their PractitionerRole says."""
    principal_of = ctx.state.get("principal_of")
    principal: Any = await principal_of(person, "", "user/*.cruds") if principal_of is not None else None
    if principal is None:
        return by_role
    return is_responder(principal) and await ctx.repository.history.is_open(principal, flag, "r")


def _is_clinical(role: Json) -> bool:
    return not role.get("code") or has_code(role["code"], *_CLINICIANS)
