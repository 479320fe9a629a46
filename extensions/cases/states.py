"""The states of a case, and what the server keeps of them: statusHistory, and when it began and ended.

https://hl7.org/fhir/R4/valueset-encounter-status.html · the ConceptMap case-status-to-encounter of the guide
"""

from __future__ import annotations

from typing import Any

from fhir_server.storage.stored import from_micros
from workflow.making import instant
from workflow.states import Transitions

Json = dict[str, Any]

TEAM = ("team",)  # who works on it; anybody who may write, while nobody does
TRANSITIONS: Transitions = {
    "": {"planned": (), "triaged": (), "in-progress": ()},
    "planned": {"triaged": TEAM, "in-progress": TEAM, "cancelled": TEAM, "entered-in-error": TEAM},
    "triaged": {"in-progress": TEAM, "cancelled": TEAM, "entered-in-error": TEAM},
    "in-progress": {"onleave": TEAM, "finished": TEAM, "entered-in-error": TEAM},
    "onleave": {"in-progress": TEAM, "finished": TEAM, "entered-in-error": TEAM},
    "finished": {"entered-in-error": TEAM},
    "cancelled": {"entered-in-error": TEAM},
}
_BEGUN = ("in-progress", "onleave", "finished")
_OVER = ("finished", "cancelled")


def history(before: Json, after: Json, created: int, now: str) -> list[Json]:
    """Encounter.statusHistory: the states before the present one, whatever the caller sends of it.

    `created` is when the case was stored first, in microseconds: the first state's beginning.
    """
    kept: list[Json] = before.get("statusHistory", [])
    if before["status"] == after["status"]:
        return kept
    since = kept[-1]["period"].get("end", now) if kept else instant(from_micros(created))
    return [*kept, {"status": before["status"], "period": {"start": since, "end": now}}]


def period(before: Json, after: Json, now: str) -> Json:
    """Encounter.period: from the first work to the end; what the caller says of it stands, and is not lost later."""
    span: Json = dict(after.get("period") or before.get("period", {}))
    if after["status"] in _BEGUN:
        span.setdefault("start", before.get("period", {}).get("start", now))
    if after["status"] in _OVER and "start" in span:
        span.setdefault("end", now)
    return span
