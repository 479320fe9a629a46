"""What is kept of one interaction: small and quick to make; event.py turns it into an AuditEvent when somebody asks.

An entry may hold PHI (the query names patients), so it goes into the audit trail and nowhere else.
"""

from __future__ import annotations

import time

import msgspec

MAX_QUERY = 4096  # characters
MAX_PATIENTS = 1000
_MAX_SOFTWARE = 256
_MARK = '"reference":"Patient/'


class Agent(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Who acts: the same for all requests of a caller, so it may be made once."""

    name: str = ""  # the principal's name
    user: str = ""  # fhirUser, "Practitioner/1"
    client: str = ""  # client_id
    grant: str = ""  # the family of tokens
    roles: tuple[str, ...] = ()
    address: str = ""  # network address the request came from
    software: str = ""  # User-Agent

    @classmethod
    def of(
        cls,
        name: str,
        *,
        user: str = "",
        client: str = "",
        grant: str = "",
        roles: tuple[str, ...] = (),
        address: str = "",
        software: str = "",
    ) -> Agent:
        """An agent with what a stranger may make long cut short."""
        return cls(name, user, client, grant, roles, address, software[:_MAX_SOFTWARE])


NOBODY = Agent("nobody")


class Entry(msgspec.Struct, array_like=True, gc=False):
    """One interaction, as it was answered. Fields are only ever added at the end: what is stored stays readable.

    `at` is in microseconds since 1970. An entry that goes with a write has no version: the flush fills it in.
    """

    at: int
    interaction: str  # R4's code: read, search-type, create …; "operation"
    action: str  # C R U D E
    status: int  # HTTP
    agent: Agent = NOBODY
    type: str = ""
    id: str = ""
    version: str = ""
    query: str = ""  # of the URL or the form, as it was sent
    patients: tuple[str, ...] = ()  # "Patient/1": whose data it was about, as far as known
    request: str = ""  # X-Request-Id
    operation: str = ""  # name without the $
    bundle: str = ""  # "transaction" or "batch" when it was an entry of one
    purpose: str = ""  # v3-ActReason: TREAT, BTG …
    issue: str = ""  # the issue code of a refusal

    @property
    def subjects(self) -> tuple[str, ...]:
        """The patients concerned, among them one that is itself what was asked for."""
        if self.type != "Patient" or not self.id:
            return self.patients
        own = f"Patient/{self.id}"
        return self.patients if own in self.patients else (own, *self.patients)

    @property
    def outcome(self) -> int:
        """R4's outcome: 0 success, 4 minor failure, 8 refused, 12 the server failed."""
        if self.status < 400:
            return 0
        if self.status >= 500:
            return 12
        return 8 if self.status in (401, 403) else 4


ACTIONS = {
    "create": "C",
    "read": "R",
    "vread": "R",
    "history-instance": "R",
    "history-type": "R",
    "history-system": "R",
    "capabilities": "R",
    "update": "U",
    "patch": "U",
    "delete": "D",
}  # every other interaction is an execution, E


def action(interaction: str) -> str:
    """R4's audit-event-action of an interaction: searches, operations and Bundles are executed."""
    return ACTIONS.get(interaction, "E")


def now() -> int:
    """Microseconds since 1970 on this machine."""
    return time.time_ns() // 1000


def patients_in(text: str) -> tuple[str, ...]:
    """The patients that a resource (or a searchset), as JSON text, refers to."""
    found: dict[str, None] = {}
    start = text.find(_MARK)
    while start >= 0:
        end = text.find('"', start + len(_MARK))
        reference = text[start + 13 : end]
        found["/".join(reference.split("/", 2)[:2])] = None
        if len(found) == MAX_PATIENTS:
            break
        start = text.find(_MARK, end)
    return tuple(found)
