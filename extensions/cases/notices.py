"""Who is told of a case: those who are assigned to it, of that, of its end, and when it becomes an emergency.

Who made the change is told as well: a change does not say who made it.
"""

from __future__ import annotations

from typing import Any

from fhir_server.change import Change
from fhir_server.context import Context
from fhir_server.registry import on_change
from workflow.codes import has_code
from workflow.making import reference
from workflow.notices import notify

from .case import OPEN, assigned, is_case
from .rules import PRIORITY

Json = dict[str, Any]

_ENDS = {"finished": "A case that you work on is finished.", "cancelled": "A case that you work on was cancelled."}


@on_change("Encounter", interactions=("create", "update"))
async def tell(ctx: Context, change: Change) -> None:
    """Notices without a subject: they are the staff's, and not in the patient's record."""
    case = change.after.resource()
    before = change.before.resource() if change.before is not None and not change.before.deleted else {}
    if not is_case(case):
        return
    stayed = [who for who in assigned(case) if who in assigned(before)]
    new = [who for who in assigned(case) if who not in stayed]
    urgency = "urgent" if _is_emergency(case) else "routine"
    if case["status"] in OPEN:
        await _tell(ctx, change, new, "You were assigned to a case.", "assigned", urgency)
    if before and case["status"] != before["status"] and (text := _ENDS.get(case["status"])):
        await _tell(ctx, change, stayed, text, case["status"], "routine")
    if before and _is_emergency(case) and not _is_emergency(before) and case["status"] in OPEN:
        await _tell(ctx, change, stayed, "A case that you work on is an emergency now.", "emergency", "urgent")


async def _tell(ctx: Context, change: Change, who: list[str], text: str, purpose: str, priority: str) -> None:
    about = [reference(change.after.resource())]
    people: list[Json | None] = [{"reference": one} for one in who]
    await notify(ctx, change, people, text, about=about, priority=priority, purpose=purpose)


def _is_emergency(case: Json) -> bool:
    return has_code(case.get("priority"), (PRIORITY, "EM"))
