"""Events that a topic may name instead of a change: those of HL7 v2 that R4's resources show plainly.

https://terminology.hl7.org/CodeSystem-v2-0003.html · https://hl7.org/fhir/R5/subscriptiontopic.html (eventTrigger)
"""

from __future__ import annotations

from dataclasses import replace

from fhir_server.change import Interaction
from subscriptions.topic import Trigger

SYSTEM = "http://terminology.hl7.org/CodeSystem/v2-0003"
_REPORTED = "status=final,amended,corrected,appended"


def _becomes(type_: str, status: str) -> Trigger:
    """Created with the status, or brought into it."""
    return Trigger(type_, ("create", "update"), f"status:not={status}", f"status={status}", True, True, False)


def _on(type_: str, interaction: Interaction) -> Trigger:
    return Trigger(type_, (interaction,))


# (resource type, code, what it is called) → when it has happened
EVENTS: dict[tuple[str, str, str], Trigger] = {
    ("Encounter", "A01", "visit began"): _becomes("Encounter", "in-progress"),
    ("Encounter", "A03", "visit ended"): _becomes("Encounter", "finished"),
    ("Encounter", "A04", "patient arrived"): _becomes("Encounter", "arrived"),
    ("Encounter", "A05", "visit planned"): _becomes("Encounter", "planned"),
    ("Encounter", "A11", "visit cancelled"): _becomes("Encounter", "cancelled"),
    ("Patient", "A28", "person added"): _on("Patient", "create"),
    ("Patient", "A29", "person deleted"): _on("Patient", "delete"),
    ("Patient", "A31", "person updated"): _on("Patient", "update"),
    ("Appointment", "S12", "appointment booked"): _becomes("Appointment", "booked"),
    ("Appointment", "S14", "appointment changed"): Trigger(
        "Appointment", ("update",), previous="status=booked", current="status=booked", require_both=True
    ),
    ("Appointment", "S15", "appointment cancelled"): _becomes("Appointment", "cancelled"),
    ("Appointment", "S17", "appointment deleted"): _on("Appointment", "delete"),
    ("Appointment", "S26", "appointment missed"): _becomes("Appointment", "noshow"),
    ("DiagnosticReport", "R01", "result reported"): Trigger(
        "DiagnosticReport", ("create", "update"), current=_REPORTED, passes_delete=False
    ),
    ("Observation", "R01", "result reported"): Trigger(
        "Observation", ("create", "update"), current=_REPORTED.removesuffix(",appended"), passes_delete=False
    ),
    ("DocumentReference", "T02", "document added"): _on("DocumentReference", "create"),
    ("DocumentReference", "T11", "document withdrawn"): _becomes("DocumentReference", "entered-in-error"),
}
_BY_CODE = {(type_, code): trigger for (type_, code, _), trigger in EVENTS.items()}


def event_trigger(system: str, code: str, type_: str) -> Trigger | None:
    """The change that the event of this resource type is; None for an event that is not known."""
    found = _BY_CODE.get((type_, code)) if system == SYSTEM else None
    return replace(found, event=(system, code)) if found is not None else None
