"""Notifications: one Communication for each person, in-progress until it is read (ig/input/fsh/notification.fsh).

A notice names what it is about and holds nothing of its content: who may read that, reads it there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from fhir_server.change import Change
from fhir_server.context import Context
from workflow.codes import NOTIFICATION, Code, concept
from workflow.making import id_for, instant, make
from workflow.people import persons

Json = dict[str, Any]


async def notify(
    ctx: Context,
    change: Change,
    recipients: Iterable[Json | None],
    text: str,
    *,
    about: Sequence[Json],
    subject: Json | None = None,
    encounter: Json | None = None,
    priority: str = "routine",
    category: Code = NOTIFICATION,
    but: str = "",
    purpose: str = "notice",
) -> list[Json]:
    """Tell the persons behind `recipients` of a change, each once however often it is called; answers what is new.

    `text` is what they read and holds no PHI. `but` ("Practitioner/1") is who made the change and needs no telling.
    `purpose` tells apart several notices of one change to one person.
    """
    told = [one for one in await persons(ctx, recipients) if one != but]
    made = []
    for person in told:
        one: Json = {
            "resourceType": "Communication",
            "id": id_for(change.version_key, purpose, person),
            "status": "in-progress",
            "category": [concept(category)],
            "priority": priority,
            "about": list(about),
            "recipient": [{"reference": person}],
            "sent": instant(),
            "payload": [{"contentString": text}],
        }
        if subject:
            one["subject"] = {"reference": subject["reference"]}
        if encounter:
            one["encounter"] = {"reference": encounter["reference"]}
        made.append(one)
    return await make(ctx, made)
