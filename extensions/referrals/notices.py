"""Who is told of a referral: the house or person asked, of what comes and goes; who asked, of the answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from extensions.referrals.referral import ERROR, answered_by, is_referral, request_key
from fhir_server.change import Change
from fhir_server.context import Context
from fhir_server.registry import on_change
from workflow.making import reference
from workflow.notices import notify
from workflow.people import persons, read

Json = dict[str, Any]

_TO_OWNER: Mapping[str, str] = {
    "requested": "You have a new referral.",
    "cancelled": "A referral to you was cancelled.",
    ERROR: "A referral to you was withdrawn.",
}
_TO_REQUESTER: Mapping[str, str] = {
    "accepted": "Your referral was accepted.",
    "rejected": "Your referral was rejected.",
    "completed": "Your referral was completed.",
}


@on_change("Task", interactions=("create", "update"))
async def tell_of_a_referral(ctx: Context, change: Change) -> None:
    """One notice to each person concerned, for each new state; that work has begun is told by the topic alone."""
    task = change.after.resource()
    state = task["status"]
    if change.before is not None and change.before.resource()["status"] == state:
        return
    if not is_referral(await read(ctx, {"reference": request_key(task)})):
        return
    about, urgency = [reference(task)], task.get("priority", "routine")
    if text := _TO_OWNER.get(state):
        asker = await persons(ctx, [task.get("requester")])
        whom = answered_by(task) or task.get("owner")
        await notify(ctx, change, [whom], text, about=about, priority=urgency, but=asker[0] if asker else "")
    if text := _TO_REQUESTER.get(state):
        await notify(ctx, change, [task.get("requester")], text, about=about, priority=urgency)
