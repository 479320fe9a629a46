"""A message from its first word to its withdrawal: who says it, about what, in answer to what.

https://hl7.org/fhir/R4/communication.html
"""

from __future__ import annotations

from typing import Any

from extensions.discussions.audience import address, check_audience, label
from extensions.discussions.kinds import MESSAGES, kind, listed
from extensions.discussions.people import name_sender
from fhir_server import api
from fhir_server.access import Principal
from fhir_server.context import Context
from fhir_server.outcomes import BusinessRule, Forbidden
from workflow.codes import TEAM_DISCUSSION, has_label
from workflow.making import instant
from workflow.people import is_me, key
from workflow.states import Transitions, allow, step

Json = dict[str, Any]

# not-done is one that could not be sent (statusReason); entered-in-error one that was taken back.
TRANSITIONS: Transitions = {
    "": {"completed": (), "not-done": ()},
    "completed": {"entered-in-error": ("author",)},
    "not-done": {"entered-in-error": ("author",)},
    "entered-in-error": {},
}
_STAYS = ("encounter", "subject", "sender", "partOf", "inResponseTo", "sent")
_KNOWN = ("subject", "sender", "sent")  # what the server adds, and who leaves it out does not take away


async def begin(ctx: Context, message: Json) -> None:
    """Complete a new message; BusinessRule (422) when it does not fit its encounter, Forbidden (403) for its sender.

    A backend service brings what others said, in whatever order: of that, the team's own is labelled.
    """
    if not ctx.principal.user:
        label(message)
        return
    step(TRANSITIONS, "", message["status"], what="message", expression="Communication.status")
    encounter = await _encounter(ctx, message)
    await name_sender(ctx, message)
    _of_patient(message, encounter)
    answered = await _thread(ctx, message)
    message.setdefault("sent", instant())
    address(message, encounter, answered)
    await check_audience(ctx, message)
    label(message)


async def go_on(ctx: Context, message: Json, before: Json) -> None:
    """Judge a change of a message: its author edits what it says, and takes it back; nothing moves it."""
    is_author = is_me(ctx.principal, before.get("sender"))
    who = step(TRANSITIONS, before["status"], message["status"], what="message", expression="Communication.status")
    allow(ctx.principal, who, {"author": is_author}, what="message")
    for name in _KNOWN:
        if name in before:
            message.setdefault(name, before[name])
    for name in _STAYS:
        if _same(message, name) != _same(before, name):
            raise BusinessRule(f"The {name} of a message stays as it was.", expression=[f"Communication.{name}"])
        if name in before:
            message[name] = before[name]
    says_other = message.get("payload") != before.get("payload") and message["status"] != "entered-in-error"
    if not (is_author or _speaks_for_others(ctx.principal)) and (says_other or _audience(message) != _audience(before)):
        raise Forbidden("Only its author may change what a message says, and to whom.")
    await check_audience(ctx, message, is_new=False)


async def _encounter(ctx: Context, message: Json) -> Json:
    """The case or consultation, as the caller reads it: what they may not see is no different from what is not."""
    type_, _, id_ = key(message.get("encounter")).partition("/")
    found = await api.current(ctx, type_, id_) if type_ == "Encounter" else None
    if found is None or found.deleted:
        text = "A message is about an Encounter of this server that its sender may read."
        raise BusinessRule(text, expression=["Communication.encounter"])
    return found.resource()


def _of_patient(message: Json, encounter: Json) -> None:
    patient = key(encounter.get("subject"))
    if "subject" not in message and patient.startswith("Patient/"):
        message["subject"] = {"reference": patient}
    if key(message.get("subject")) != (patient if patient.startswith("Patient/") else ""):
        text = "The subject of a message is the patient of its encounter."
        raise BusinessRule(text, expression=["Communication.subject"])


async def _thread(ctx: Context, message: Json) -> list[Json]:
    """The messages that it answers; BusinessRule (422) for what is no message of the same encounter."""
    answered = [await _other(ctx, message, one, "inResponseTo") for one in listed(message, "inResponseTo")]
    for one in listed(message, "partOf"):
        if (await _other(ctx, message, one, "partOf")).get("partOf"):
            text = "partOf names the first message of a thread, which is part of none."
            raise BusinessRule(text, expression=["Communication.partOf"])
    return answered


async def _other(ctx: Context, message: Json, reference: Json, name: str) -> Json:
    type_, _, id_ = key(reference).partition("/")
    stored = await api.current(ctx, type_, id_) if type_ == "Communication" else None
    other = stored.resource() if stored is not None and not stored.deleted else {}
    if kind(other) not in MESSAGES or key(other.get("encounter")) != key(message.get("encounter")):
        text = f"{name} names a message of the same encounter that the sender may read."
        raise BusinessRule(text, expression=[f"Communication.{name}"])
    return other


def _speaks_for_others(principal: Principal) -> bool:
    """Whether it is no person: a backend service, or open mode, keeps what others said."""
    return principal.is_open or not principal.user


def _audience(message: Json) -> tuple[bool, list[str]]:
    return has_label(message, TEAM_DISCUSSION), sorted(key(one) for one in listed(message, "recipient"))


def _same(message: Json, name: str) -> Any:
    """What of an element counts: of a reference whom it names, not how."""
    value = message.get(name)
    return sorted(key(one) for one in listed(message, name)) if isinstance(value, dict | list) else value
