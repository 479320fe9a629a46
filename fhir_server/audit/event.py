"""An entry as the AuditEvents that it stands for, in the shape of IHE's Basic Audit Log Patterns.

One for each patient concerned, as BALP has it: https://profiles.ihe.net/ITI/BALP/ · https://hl7.org/fhir/R4/auditevent.html
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fhir_server.audit import group
from fhir_server.audit.entry import Agent, Entry
from fhir_server.storage.stored import instant

Json = dict[str, Any]

_ID = re.compile(r"([0-9a-f]{19}[a-z])-([1-9][0-9]{0,9})-(0|[1-9][0-9]{0,3})(?:-([1-9][0-9]{0,3}))?")
_TERMS = "http://terminology.hl7.org/CodeSystem"
_DICOM = "http://dicom.nema.org/resources/ontology/DCM"
_BALP = "https://profiles.ihe.net/ITI/BALP"
_SUBTYPES = {"search-compartment": "search"}  # R4 has no code for it
_DESTROYED = {"system": f"{_TERMS}/iso-21089-lifecycle", "code": "destroy"}
# Who gives the data and who takes it, as BALP has it for each pattern: client, server, user.
_ROLES = {
    "Read": ("110152", "110153", "IRCP"),
    "Query": ("110153", "110152", "IRCP"),
    "Create": ("110153", "110152", "AUT"),
    "Update": ("110153", "110152", "AUT"),
    "Delete": ("110150", "custodian", "CST"),
}
_PATTERNS = {"C": "Create", "R": "Read", "U": "Update", "D": "Delete"}
_DISPLAYS = {"110150": "Application", "110152": "Destination Role ID", "110153": "Source Role ID"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where an AuditEvent is in the trail: chain, group, entry, and which of the entry's patients it is about."""

    chain: str
    sequence: int
    index: int
    patient: int = 0

    @property
    def id(self) -> str:
        return f"{self.chain}-{self.sequence}-{self.index}" + (f"-{self.patient}" if self.patient else "")

    @property
    def group(self) -> str:
        """The `_id` of its group."""
        return group.name(self.chain, self.sequence)


def place(id_: str) -> Place | None:
    """The place that an AuditEvent's id names; None when it is no id of the trail."""
    found = _ID.fullmatch(id_)
    if found is None:
        return None
    chain, sequence, index, patient = found.groups()
    return Place(chain, int(sequence), int(index), int(patient or 0))


def places(group_id: str, index: int, entry: Entry) -> Iterator[Place]:
    """The places of an entry's AuditEvents, the latest first."""
    chain, sequence = group.place(group_id)
    for patient in range(max(len(entry.subjects), 1) - 1, -1, -1):
        yield Place(chain, sequence, index, patient)


def audit_event(where: Place, entry: Entry, at: int, base_url: str, *, limited: bool = False) -> Json:
    """The AuditEvent that was recorded at `at` (microseconds).

    For a `limited` reader, who may know of one patient and not of others, a query is left out that names several.
    """
    pattern = _pattern(entry)
    patient = entry.subjects[where.patient] if entry.subjects else ""
    event: Json = {
        "resourceType": "AuditEvent",
        "id": where.id,
        "meta": {"versionId": "1", "lastUpdated": instant(at), **_profile(entry, pattern, patient)},
        "type": _coding(f"{_TERMS}/audit-event-type", "rest", "RESTful Operation"),
        "subtype": [_coding("http://hl7.org/fhir/restful-interaction", _subtype(entry))],
        "action": entry.action,
        "period": {"start": instant(entry.at)},
        "recorded": instant(at),
        "outcome": str(entry.outcome),
        "agent": _agents(entry, pattern, base_url),
        "source": {"observer": _server(base_url), "type": [_coding(f"{_TERMS}/security-source-type", "4")]},
        "entity": _entities(entry, pattern, patient, query=not limited or len(entry.subjects) < 2),
    }
    if entry.issue:
        event["outcomeDesc"] = entry.issue
    if entry.purpose:
        event["purposeOfEvent"] = [_purpose(entry)]
    return event


def _pattern(entry: Entry) -> str:
    """Which of BALP's patterns the entry follows: an operation with a query is like a search."""
    return _PATTERNS.get(entry.action, "Query")


def _profile(entry: Entry, pattern: str, patient: str) -> Json:
    """BALP's profiles are of what succeeded, and of what they have a pattern for."""
    fits = entry.id if pattern != "Query" else entry.interaction.startswith("search")
    if entry.outcome or not fits or entry.interaction.startswith("history"):
        return {}
    return {"profile": [f"{_BALP}/StructureDefinition/IHE.BasicAudit.{'Patient' if patient else ''}{pattern}"]}


def _subtype(entry: Entry) -> str:
    if entry.interaction == "bundle":
        return entry.bundle or "transaction"
    return _SUBTYPES.get(entry.interaction, entry.interaction)


def _agents(entry: Entry, pattern: str, base_url: str) -> list[Json]:
    agent = entry.agent
    client, server, user = _ROLES[pattern]
    found: list[Json] = [
        {
            "type": _role(client),
            "who": {"identifier": {"value": agent.client}} if agent.client else {"display": agent.name},
            "requestor": not agent.user,
            **({"network": {"address": agent.address, "type": "2"}} if agent.address else {}),
        },
        {
            "type": _role(server),
            "who": _server(base_url),
            "requestor": False,
            "network": {"address": base_url, "type": "5"},
        },
    ]
    if agent.user:
        found.append(_user(entry, agent, user))
    return found


def _user(entry: Entry, agent: Agent, role: str) -> Json:
    found: Json = {
        "type": {"coding": [_coding(f"{_TERMS}/v3-ParticipationType", role)]},
        "who": {"reference": agent.user},
        "requestor": True,
    }
    if agent.name and agent.name != agent.user:
        found["name"] = agent.name
    if agent.roles:
        found["role"] = [{"coding": [{"code": role}]} for role in agent.roles]
    if agent.grant:
        found["policy"] = [agent.grant]
    if entry.purpose:
        found["purposeOfUse"] = [_purpose(entry)]
    return found


def _entities(entry: Entry, pattern: str, patient: str, *, query: bool) -> list[Json]:
    found: list[Json] = []
    thing = _coding(f"{_TERMS}/audit-entity-type", "2", "System Object")
    if entry.id:
        role = _coding(f"{_TERMS}/object-role", "4", "Domain Resource")
        version = f"/_history/{entry.version}" if entry.version else ""
        found.append({"what": {"reference": f"{entry.type}/{entry.id}{version}"}, "type": thing, "role": role})
    if patient:
        person = _coding(f"{_TERMS}/audit-entity-type", "1", "Person")
        role = _coding(f"{_TERMS}/object-role", "1", "Patient")
        named = {"what": {"reference": patient}, "type": person, "role": role}
        found.append({**named, "lifecycle": _DESTROYED} if _is_destruction(entry) else named)
    if query and (entry.query or entry.interaction.startswith("search")):
        role = _coding(f"{_TERMS}/object-role", "24", "Query")
        path = entry.type + (f"/${entry.operation}" if entry.operation else "")
        raw = f"{path}?{entry.query}".encode()
        found.append({"type": thing, "role": role, "query": base64.b64encode(raw).decode()})
    found.append(_transaction(entry))
    return found


def _is_destruction(entry: Entry) -> bool:
    """Whether the patient's keys were destroyed: their record is beyond reading, and this entry stays."""
    return entry.operation == "crypto-erase" and not entry.outcome


def _transaction(entry: Entry) -> Json:
    """The request itself: its id, and what else is known of it."""
    told = {
        "status": str(entry.status),
        "operation": entry.operation,
        "bundle": entry.bundle,
        "user-agent": entry.agent.software,
    }
    found: Json = {"type": _coding(f"{_BALP}/CodeSystem/BasicAuditEntityType", "XrequestId")}
    if entry.request:
        found["what"] = {"identifier": {"value": entry.request}}
    found["detail"] = [{"type": name, "valueString": value} for name, value in told.items() if value]
    return found


def _server(base_url: str) -> Json:
    return {"identifier": {"system": "urn:ietf:rfc:3986", "value": base_url}}


def _role(code: str) -> Json:
    if code == "custodian":
        return {"coding": [_coding(f"{_TERMS}/provenance-participant-type", code, "Custodian")]}
    return {"coding": [_coding(_DICOM, code, _DISPLAYS[code])]}


def _purpose(entry: Entry) -> Json:
    return {"coding": [_coding(f"{_TERMS}/v3-ActReason", entry.purpose)]}


def _coding(system: str, code: str, display: str = "") -> Json:
    return {"system": system, "code": code, **({"display": display} if display else {})}
