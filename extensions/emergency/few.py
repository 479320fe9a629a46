"""How many emergencies a patient may have at once: each calls everybody who is on duty."""

from __future__ import annotations

from extensions.emergency.inside import is_state
from extensions.emergency.words import OPEN
from fhir_server.context import Context
from fhir_server.outcomes import Conflict
from fhir_server.storage.unit_of_work import Guard, UnitOfWork
from workflow.codes import EMERGENCY_TASK
from workflow.people import find, key
from workflow.states import is_unbound

MOST = 10  # that a patient has raised, and that last
_OUTSIDERS = ("Patient/", "RelatedPerson/")


async def check_few(ctx: Context, unit: UnitOfWork) -> None:
    """Raise Conflict (409) when the caller is a patient, and has raised so many already."""
    user = ctx.principal.user
    if is_unbound(ctx.principal) or not user.startswith(_OUTSIDERS):
        return
    name = f"emergencies of {user}"
    if name not in unit.guards:  # read before the search: of those at the same moment, each counts
        unit.guards[name] = Guard(name, await ctx.repository.guard(name))
    query = f"code={'|'.join(EMERGENCY_TASK)}&requester={user}&status={','.join(OPEN)}"
    there = {f"Task/{one['id']}" for one in await find(ctx, "Task", query, limit=MOST)}
    for write in unit.writes.values():
        if write.resource is not None and is_state(write.resource) and key(write.resource.get("requester")) == user:
            there.add(write.key)
    if len(there) >= MOST:
        raise Conflict(f"There are {MOST} emergencies already that you have raised: help knows of you.")
