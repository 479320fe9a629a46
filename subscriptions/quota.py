"""How many Subscriptions a caller may have: each costs every change of a resource that it might be about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fhir_server.access import Principal
from fhir_server.access.principal import SYSTEM
from fhir_server.context import Context
from fhir_server.outcomes import BusinessRule
from fhir_server.search.compile import compile
from fhir_server.search.keys import SUBSCRIBER
from fhir_server.search.parse import parse as search
from fhir_server.storage.database import Database
from fhir_server.storage.unit_of_work import UnitOfWork, Write
from subscriptions.subscriber import user_of

Json = dict[str, Any]
MAX_OF_A_SERVICE = 10_000  # that are not off; FHIR_MAX_SUBSCRIPTIONS is for users
ALIVE = ("requested", "active", "error")


async def check(ctx: Context, database: Database, change: Write, unit: UnitOfWork) -> None:
    """Raise BusinessRule (422) when the caller would have another Subscription than they may.

    What others of the caller's requests write at the same moment is not seen.
    """
    principal = ctx.principal
    if principal.is_open or not _is_another(principal, change):
        return
    most = ctx.settings.max_subscriptions if principal.user else MAX_OF_A_SERVICE
    beside = sum(one.key != change.key and _is_another(principal, one) for one in unit.writes.values())
    there = await (_of_user(ctx, most) if principal.user else _of_service(database, principal.client, most))
    if there + beside >= most:
        text = f"The caller has {most} subscriptions that are not off, and may not have more: switch some off first."
        raise BusinessRule(text, code="too-costly", expression=["Subscription.status"])


def _is_another(principal: Principal, change: Write) -> bool:
    """Whether the write makes one more of the caller's Subscriptions that are not off."""
    if change.type != "Subscription" or not _is_alive(change.resource):
        return False
    before = None if change.base is None or change.base.deleted else change.base.resource()
    return before is None or not _is_alive(before) or user_of(before) != principal.user


def _is_alive(resource: Mapping[str, Any] | None) -> bool:
    return resource is not None and resource.get("status") in ALIVE


async def _of_user(ctx: Context, limit: int) -> int:
    alive = compile(search("Subscription", [("status", ",".join(ALIVE))], base_url=ctx.base_url)).filter
    own = {"k": f"{SUBSCRIBER}>{ctx.principal.user}"}
    return await ctx.repository.count(SYSTEM, {"$and": [own, alive]}, limit=limit, types=["Subscription"])


async def _of_service(database: Database, client: str, limit: int) -> int:
    """As the engine has seen them: a service's name is not in its Subscriptions."""
    own = {"owner.client": client, "owner.user": "", "status": {"$in": ALIVE}}
    return await database.system["sub_active"].count_documents(own, limit=limit)
