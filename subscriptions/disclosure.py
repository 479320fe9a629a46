"""What notifications disclose, and its entry in the audit trail: one for each that is sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlencode

from fhir_server.audit.entry import MAX_PATIENTS, Agent, Entry, action, now, patients_in
from fhir_server.storage.stored import Stored


class Trail(Protocol):
    """The audit trail (fhir_server/audit/trail.py)."""

    async def record(self, entries: Sequence[Entry]) -> None:
        """Return once the entries are safe. Raises Unavailable (503): then nothing may be disclosed."""


@dataclass(frozen=True, slots=True)
class Disclosed:
    """The events of a subscription, by their numbers, and the versions that are named to whoever is told of them."""

    subscription: str  # id
    numbers: tuple[int, ...]
    foci: tuple[Stored, ...] = ()
    included: tuple[Stored, ...] = ()

    def entry(self, agent: Agent, purpose: str = "") -> Entry:
        """As if the agent had read the one version that it is about, or else had asked for these events ($events)."""
        first, last = self.numbers[0], self.numbers[-1]
        entry = Entry(now(), "operation", action("operation"), 200, agent, purpose=purpose, bundle="notification")
        entry.patients = self._patients()
        if len(self.foci) == 1:
            (focus,) = self.foci
            entry.interaction, entry.action = "vread", action("vread")
            entry.type, entry.id, entry.version = focus.type, focus.id, str(focus.version)
            entry.query = urlencode({"subscription": self.subscription, "event-number": first})
        else:
            entry.type, entry.id, entry.operation = "Subscription", self.subscription, "events"
            entry.query = urlencode({"eventsSinceNumber": first, "eventsUntilNumber": last})
        return entry

    def _patients(self) -> tuple[str, ...]:
        """The patients among the versions and those that they refer to."""
        found: dict[str, None] = {}
        for one in (*self.foci, *self.included):
            if one.type == "Patient":
                found[one.key] = None
            found |= dict.fromkeys(patients_in(one.text))
        return tuple(found)[:MAX_PATIENTS]


class Notification(NamedTuple):
    """A Bundle that tells of events, and what it discloses."""

    bundle: dict[str, Any]
    disclosed: Disclosed


async def record(trail: Trail | None, disclosed: Disclosed, agent: Agent, purpose: str = "") -> None:
    """Return once the trail has it; the trail stores in groups what many bring at once. Raises Unavailable (503)."""
    if trail is not None:
        await trail.record([disclosed.entry(agent, purpose)])
