"""Resources that the server makes by itself: with ids that follow from what they are made for, so each is made once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from inspect import isawaitable
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from fhir_server import api
from fhir_server.access.principal import SYSTEM
from fhir_server.audit.entry import Agent
from fhir_server.context import Context
from fhir_server.storage.unit_of_work import Lost, UnitOfWork, Write

Json = dict[str, Any]
SERVER = Agent("server")  # who acts, as the audit trail tells it
_TRIES = 5


def id_for(*words: str) -> str:
    """The id of what is made for these words, always the same: `id_for(change.version_key, "notice", recipient)`."""
    return str(uuid5(NAMESPACE_URL, "\0".join(words)))


def instant(moment: datetime | None = None) -> str:
    """A FHIR instant with milliseconds, in UTC; of now unless given."""
    return (moment or datetime.now(UTC)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def reference(resource: Json) -> Json:
    """A Reference to the resource."""
    return {"reference": f"{resource['resourceType']}/{resource['id']}"}


def as_server(ctx: Context, unit: UnitOfWork | None = None) -> Context:
    """The context in which the server itself acts, and says so in the audit trail."""
    return replace(ctx, principal=SYSTEM, agent=replace_agent(ctx.agent), unit=unit)


def replace_agent(agent: Agent | None) -> Agent:
    """Who caused it stays known; without anybody it is the server."""
    return agent or SERVER


async def make(ctx: Context, resources: Sequence[Json]) -> list[Json]:
    """Store those of these resources (each with its id) that never were, all together or none; answers which.

    What is there already, or was and is deleted, stays as it is: calling it again changes nothing.
    """
    for _ in range(_TRIES):
        unit = UnitOfWork()
        server = as_server(ctx, unit)
        there = await ctx.repository.read_many(SYSTEM, [f"{one['resourceType']}/{one['id']}" for one in resources])
        new = [one for one in resources if f"{one['resourceType']}/{one['id']}" not in there]
        for one in new:
            await api.write(server, Write("PUT", one["resourceType"], one["id"], one, exact=True))
        if not new:
            return []
        try:
            await ctx.repository.commit(unit)
        except Lost:  # somebody else made one of them at this moment
            continue
        return new
    raise Lost("what the server makes")


async def change(ctx: Context, type_: str, id_: str, edit: Any) -> Json | None:
    """Let `edit(resource)` change a resource as it is now, until it is stored; None when it says None: nothing to do.

    `edit`, which may be async, gets a fresh copy each time and answers the new content; it may raise a FhirError. The
    server is who writes. A resource that is not there is left alone.
    """
    for _ in range(_TRIES):
        stored = await ctx.repository.read(SYSTEM, type_, id_)
        if stored is None or stored.deleted:
            return None
        edited = edit(stored.resource())
        wanted: Json | None = await edited if isawaitable(edited) else edited
        if wanted is None:
            return None
        unit = UnitOfWork()
        await api.write(as_server(ctx, unit), Write("PUT", type_, id_, wanted, base=stored, exact=True))
        try:
            await ctx.repository.commit(unit)
        except Lost:
            continue
        return wanted
    raise Lost(f"{type_}/{id_}")
