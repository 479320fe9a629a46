"""What belongs to an emergency, read and written within the transaction that is under way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from extensions.emergency.words import task_id
from fhir_server import api
from fhir_server.access import Principal
from fhir_server.access.principal import SYSTEM
from fhir_server.context import Context
from fhir_server.storage.unit_of_work import Lost, UnitOfWork, Write
from workflow.codes import EMERGENCY_TASK, RESPOND_TASK, Json, has_code
from workflow.making import as_server
from workflow.people import find, key, read

# Who writes what follows from a write: the rules of emergencies do not judge it once more.
OURS = Principal("emergencies", is_open=True)
_TRIES = 10


def within(ctx: Context, unit: UnitOfWork) -> Context:
    """The context of what is written with the unit."""
    return replace(as_server(ctx, unit), principal=OURS)


async def store(ctx: Context, unit: UnitOfWork, resource: Json) -> None:
    """Add a resource to the unit, on top of what is there now; what the unit has of it already is replaced."""
    name = f"{resource['resourceType']}/{resource['id']}"
    if (pending := unit.writes.get(name)) is not None:
        pending.resource = resource
        pending.find_by(ctx.base_url)
        pending.prepare()
        return
    base = await ctx.repository.read(SYSTEM, resource["resourceType"], resource["id"])
    write = Write("PUT", resource["resourceType"], resource["id"], resource, base, exact=True)
    await api.write(within(ctx, unit), write)


async def edit(ctx: Context, name: str, change: Callable[[Json, UnitOfWork], Awaitable[Json | None]]) -> bool:
    """Let `change` say what becomes of a resource ("Task/1"), until it is stored; whether it was changed.

    It is given a fresh copy each time, and the unit, to which it may add; None says that there is nothing to do.
    """
    type_, _, id_ = name.partition("/")
    for _ in range(_TRIES):
        stored = await ctx.repository.read(SYSTEM, type_, id_)
        if stored is None or stored.deleted:
            return False
        unit = UnitOfWork()
        wanted = await change(stored.resource(), unit)
        if wanted is None:
            return False
        await api.write(within(ctx, unit), Write("PUT", type_, id_, wanted, stored, exact=True))
        try:
            await ctx.repository.commit(unit)
        except Lost:
            continue
        return True
    raise Lost(name)


async def flag_of(ctx: Context, unit: UnitOfWork, task: Json) -> Json | None:
    """The Flag that a Task is about."""
    return await read(within(ctx, unit), task.get("focus"))


async def task_of(ctx: Context, unit: UnitOfWork, flag: Json) -> Json | None:
    """The Task that carries the state of a Flag's emergency."""
    return await read(within(ctx, unit), {"reference": f"Task/{task_id('Flag/' + flag['id'])}"})


async def responders(ctx: Context, unit: UnitOfWork, task: Json) -> list[Json]:
    """The Tasks of an emergency's responders, as the unit sees those that there are."""
    rows = await find(ctx, "Task", f"part-of=Task/{task['id']}&code={'|'.join(RESPOND_TASK)}", limit=1000)
    seen = {row["id"]: row for row in rows}
    for write in unit.writes.values():
        if write.type == "Task" and write.resource is not None and is_part(write.resource, task):
            seen[write.id] = write.resource
    return list(seen.values())


def is_part(responder: Json, task: Json) -> bool:
    """Whether it is a responder's Task of this emergency."""
    parts = {key(one) for one in responder.get("partOf", ())}
    return has_code(responder.get("code"), RESPOND_TASK) and f"Task/{task['id']}" in parts


def is_state(task: Json | None) -> bool:
    """Whether it is a Task that carries the state of an emergency."""
    return bool(task) and has_code((task or {}).get("code"), EMERGENCY_TASK)
