"""Whom a message is for: the team among itself, under the label that keeps it from the patient's apps, or the patient.

Nothing reaches the patient by forgetting: what staff say is the team's own unless it is addressed to the patient's
side, and what is addressed there cannot be called the team's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from extensions.discussions.kinds import CHAT, kind, listed
from fhir_server.context import Context
from fhir_server.outcomes import BusinessRule
from workflow.codes import TEAM_DISCUSSION, coding, has_label
from workflow.people import key, read

Json = dict[str, Any]
_PATIENTS_SIDE = ("Patient/", "RelatedPerson/")
_LABEL = ["Communication.meta.security"]


def address(message: Json, encounter: Json, answered: list[Json]) -> None:
    """Where its writer named nobody, address a new message to those who work on the case now.

    So too to whom of the staff it answers; a chat besides to the patient.
    """
    if message.get("recipient"):
        return
    sender = key(message.get("sender"))
    found = dict.fromkeys(_participants(encounter))
    found |= dict.fromkeys(one for one in (key(said.get("sender")) for said in answered) if one)
    if kind(message) == CHAT:
        found[key(message.get("subject"))] = None
    elif _is_from_staff(message):
        found = {one: None for one in found if not one.startswith(_PATIENTS_SIDE)}
    recipients = [{"reference": one} for one in found if one and one != sender]
    if recipients:
        message["recipient"] = recipients
    else:
        message.pop("recipient", None)


def label(message: Json) -> None:
    """Label a new message of staff as the team's own, unless it is meant for the patient."""
    if _is_from_staff(message) and not is_for_patient(message) and not has_label(message, TEAM_DISCUSSION):
        message.setdefault("meta", {}).setdefault("security", []).append(coding(*TEAM_DISCUSSION))


async def check_audience(ctx: Context, message: Json, *, is_new: bool = True) -> None:
    """Raise BusinessRule (422) for recipients of another patient, and for a label that contradicts the recipients."""
    patient = key(message.get("subject"))
    for one in listed(message, "recipient"):
        if await _patient_of(ctx, key(one)) not in ("", patient):
            text = "A message is addressed to nobody of another patient's."
            raise BusinessRule(text, expression=["Communication.recipient"])
    labelled = has_label(message, TEAM_DISCUSSION)
    if labelled and not _is_from_staff(message):
        raise BusinessRule("Only staff talk among themselves: this label is not for patients.", expression=_LABEL)
    if labelled and is_for_patient(message):
        text = "What is addressed to the patient's side is not the team's own: take the label off, or the recipient."
        raise BusinessRule(text, expression=_LABEL)
    if not is_new and not labelled and _is_from_staff(message) and not is_for_patient(message):
        text = "What the team says among itself keeps its label until it is addressed to the patient."
        raise BusinessRule(text, expression=_LABEL)


def is_for_patient(message: Json) -> bool:
    """Whether somebody of the patient's side is among the recipients."""
    return any(key(one).startswith(_PATIENTS_SIDE) for one in listed(message, "recipient"))


def _is_from_staff(message: Json) -> bool:
    return not key(message.get("sender")).startswith(_PATIENTS_SIDE)


def _participants(encounter: Json) -> Iterator[str]:
    """Who takes part now."""
    now = datetime.now(UTC).isoformat()
    for one in encounter.get("participant", ()):
        # Instants of different offsets are hours apart at most, and whoever left hears that much longer.
        if str(one.get("period", {}).get("end", "9999")) > now and (person := key(one.get("individual"))):
            yield person


async def _patient_of(ctx: Context, reference: str) -> str:
    """The patient whom a recipient is, or is related to; "" for everybody else."""
    if reference.startswith("RelatedPerson/"):
        return key((await read(ctx, {"reference": reference}) or {}).get("patient"))
    return reference if reference.startswith("Patient/") else ""
