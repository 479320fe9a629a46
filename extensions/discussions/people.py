"""Who says something: the token's user, under the name that their own resource gives."""

from __future__ import annotations

from typing import Any

from fhir_server.context import Context
from fhir_server.outcomes import Forbidden
from workflow.people import key, names, read

Json = dict[str, Any]
_SENDERS = ("Practitioner/", "PractitionerRole/", "Patient/", "RelatedPerson/")
_WHERE = ["Communication.sender"]


async def name_sender(ctx: Context, message: Json) -> None:
    """Set the sender where there is none; Forbidden (403) when it is another than the token's user.

    A PractitionerRole of the user's own is the user.
    """
    sender = key(message["sender"]) if "sender" in message else ctx.principal.user
    if not sender.startswith(_SENDERS) or sender not in names(ctx.principal):
        raise Forbidden("The sender of a message is the user of the token.", expression=_WHERE)
    name = _name(await _person(ctx, sender))
    message["sender"] = {"reference": sender, **({"display": name} if name else {})}


async def _person(ctx: Context, reference: str) -> Json:
    found = await read(ctx, {"reference": reference}) or {}
    if found.get("resourceType") == "PractitionerRole":
        return await read(ctx, found.get("practitioner")) or {}
    return found


def _name(person: Json) -> str:
    """A person's name in one line; "" when there is none."""
    for name in person.get("name", ()):
        parts = [*name.get("given", ()), name.get("family", "")]
        if text := str(name.get("text") or " ".join(part for part in parts if part)):
            return text
    return ""
