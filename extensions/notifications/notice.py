"""What holds for every notification and alert: who is told reads it or removes it, and it says what it said.

ig/input/fsh/notification.fsh · https://hl7.org/fhir/R4/communication.html
"""

from __future__ import annotations

from typing import Any

from fhir_server.access.consents import ALERT as GLASS_ALERT
from fhir_server.access.principal import SYSTEM
from fhir_server.context import Context
from fhir_server.outcomes import BusinessRule, Forbidden
from fhir_server.registry import rule
from fhir_server.storage.unit_of_work import UnitOfWork, Write
from workflow.codes import ALERT, NOTIFICATION, has_code
from workflow.making import instant
from workflow.people import is_me
from workflow.states import Transitions, allow, step

Json = dict[str, Any]

WHAT = "notification"
REMOVED = "entered-in-error"
TRANSITIONS: Transitions = {
    "": {"in-progress": ("server",), "completed": ("server",), "not-done": ("server",), REMOVED: ("server",)},
    "in-progress": {"completed": ("recipient",), "not-done": ("server",), REMOVED: ("recipient",)},
    "not-done": {"in-progress": ("server",), REMOVED: ("recipient",)},
    "completed": {REMOVED: ("recipient",)},
    REMOVED: {},
}
# What may become another; all else is what was said. That it was read is told once.
_CHANGING = ("status", "statusReason", "received", "extension", "meta")


def is_notice(message: Json | None) -> bool:
    """Whether it is a notification or an alert; that a glass was broken is the privacy officers' own affair."""
    found = message is not None and has_code(message.get("category"), NOTIFICATION, ALERT)
    return found and not has_code((message or {}).get("category"), GLASS_ALERT)


@rule("Communication")
async def notice(ctx: Context, change: Write, unit: UnitOfWork) -> None:
    """The server notifies, the recipient reads or removes it; what it says stays."""
    was = change.base.resource() if change.base is not None and not change.base.deleted else None
    wanted = change.resource
    if ctx.principal is SYSTEM or wanted is None or not (is_notice(was) or is_notice(wanted)):
        return
    before = was if was is not None and is_notice(was) else None
    if before is not None and _said(before) != _said(wanted):
        raise Forbidden("What a notification says stays as it was said.")
    state = wanted["status"]
    who = step(TRANSITIONS, before["status"] if before else "", state, what=WHAT, expression="Communication.status")
    me = is_me(ctx.principal, (wanted.get("recipient") or [None])[0])
    allow(ctx.principal, who or ("recipient",), {"recipient": me}, what=WHAT)
    if before is None:
        change.resource = _new(wanted)
    elif state == "completed":
        change.resource = {**wanted, "received": before.get("received") or wanted.get("received") or instant()}


def _new(wanted: Json) -> Json:
    if len(wanted.get("recipient", ())) != 1:
        raise BusinessRule("A notification has one recipient.", expression=["Communication.recipient"])
    return {"sent": instant(), **wanted}


def _said(message: Json) -> Json:
    said = {name: value for name, value in message.items() if name not in _CHANGING}
    return {**said, "meta": {n: v for n, v in message.get("meta", {}).items() if n in ("security", "profile")}}
