"""A receipt: one person's own note that a message reached them (in-progress), or was read (completed).

There is one for each person and message, under an id that follows from both: to confirm again changes nothing.
"""

from __future__ import annotations

from typing import Any

from extensions.discussions.kinds import MESSAGES, kind, listed
from extensions.discussions.people import name_sender
from fhir_server import api
from fhir_server.context import Context
from fhir_server.outcomes import BusinessRule
from fhir_server.storage.unit_of_work import Write
from workflow.codes import TEAM_DISCUSSION, coding, has_label
from workflow.making import as_server, id_for, instant
from workflow.people import is_me, key
from workflow.states import Transitions, step

Json = dict[str, Any]

TRANSITIONS: Transitions = {
    "": {"in-progress": (), "completed": ()},
    "in-progress": {"completed": ()},
    "completed": {},
}
_STAYS = ("inResponseTo", "sender", "recipient", "subject", "encounter")


async def confirm(ctx: Context, change: Write, before: Json | None) -> None:
    """Complete a receipt with what follows from its message; 422 when that is none that the sender may read."""
    receipt = change.resource
    assert receipt is not None
    if receipt.get("payload"):
        raise BusinessRule("A receipt says nothing of its own.", expression=["Communication.payload"])
    if before is not None:
        _keep(receipt, before)
    elif ctx.principal.user:
        before = await _begin(ctx, change)
    else:  # a service brings what others confirmed, in whatever order
        _label_as(receipt, await _message(ctx, receipt))
    if before is not None:
        step(TRANSITIONS, before["status"], receipt["status"], what="receipt", expression="Communication.status")
    receipt.setdefault("received", (before or {}).get("received") or instant())


async def _begin(ctx: Context, change: Write) -> Json | None:
    """Complete a new receipt; answers the one that there is of the same person and message."""
    receipt = change.resource
    assert receipt is not None
    step(TRANSITIONS, "", receipt["status"], what="receipt", expression="Communication.status")
    message = await _message(ctx, receipt)
    if kind(message) not in MESSAGES:
        text = "A receipt is inResponseTo one message that its sender may read."
        raise BusinessRule(text, expression=["Communication.inResponseTo"])
    await name_sender(ctx, receipt)
    receipt["sender"]["reference"] = ctx.principal.user  # in person, whichever of their roles they named
    if is_me(ctx.principal, message.get("sender")):
        raise BusinessRule("A receipt is of somebody else's message.", expression=["Communication.inResponseTo"])
    receipt |= _follows(message)
    _label_as(receipt, message)
    return await _settle(ctx, change, f"Communication/{message['id']}")


async def _settle(ctx: Context, change: Write, message: str) -> Json | None:
    """Give the receipt its id, and put it on top of what is there."""
    receipt = change.resource
    assert receipt is not None
    id_ = id_for("receipt", message, ctx.principal.user)
    if change.method == "PUT" and change.id != id_:
        raise BusinessRule("A receipt is created by POST.", expression=["Communication.id"])
    change.id = receipt["id"] = id_
    stored = await api.current(as_server(ctx, ctx.unit), "Communication", id_)
    change.base, change.exact = stored, True  # of two at the same moment the second finds the first
    if stored is None or stored.deleted:
        return None
    there = stored.resource()
    if there["status"] == "completed":  # what was read has also reached its reader
        receipt["status"] = "completed"
    return there


async def _message(ctx: Context, receipt: Json) -> Json:
    """What it confirms, as the caller reads it; {} when that is nothing, or not one thing."""
    named = listed(receipt, "inResponseTo")
    type_, _, id_ = key(named[0]).partition("/") if len(named) == 1 else ("", "", "")
    stored = await api.current(ctx, type_, id_) if type_ == "Communication" else None
    return stored.resource() if stored is not None and not stored.deleted else {}


def _follows(message: Json) -> Json:
    """What a receipt has of its message: who wrote that hears of it."""
    follows: Json = {name: message[name] for name in ("subject", "encounter") if name in message}
    return {**follows, "recipient": [message["sender"]]} if "sender" in message else follows


def _keep(receipt: Json, before: Json) -> None:
    for name in _STAYS:
        if name in receipt and _keys(receipt, name) != _keys(before, name):
            raise BusinessRule(f"The {name} of a receipt stays as it was.", expression=[f"Communication.{name}"])
        if name in before:
            receipt[name] = before[name]
    _label_as(receipt, before)


def _label_as(receipt: Json, message: Json) -> None:
    """The patient learns of no talk among the team by the receipts of it."""
    if has_label(message, TEAM_DISCUSSION) and not has_label(receipt, TEAM_DISCUSSION):
        receipt.setdefault("meta", {}).setdefault("security", []).append(coding(*TEAM_DISCUSSION))


def _keys(receipt: Json, name: str) -> list[str]:
    return [key(one) for one in listed(receipt, name)]
