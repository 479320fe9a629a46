"""What the audit trail is told of an interaction: who did what to which resource, and how it ended.

Writes tell of themselves within their own transaction (api.write); everything else is noted here, and recorded before
the answer goes out (rest/app.py).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from fhir_server.access.principal import Principal
from fhir_server.audit.entry import MAX_PATIENTS, Agent, Entry, action, now, patients_in
from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.outcomes import FhirError
from fhir_server.storage.unit_of_work import UnitOfWork, Write

_WRITES = {"POST": ("create", "C", 201), "PUT": ("update", "U", 200), "PATCH": ("patch", "U", 200)}
_SINGLE = ("read", "vread")  # they answer with one resource, which `_patients` knows when it is a Patient
_MARKS = (b'"reference":"Patient/', b'"resourceType":"Patient","id":"')
_DELETE = ("delete", "D", 204)


def agent_of(principal: Principal, *, address: str = "", software: str = "") -> Agent:
    """Who acts, or is told, as the trail names them."""
    return Agent.of(
        principal.name,
        user=principal.user,
        client=principal.client,
        grant=principal.grant,
        roles=principal.roles,
        address=address,
        software=software,
    )


def note(ctx: Context, request: FhirRequest, response: FhirResponse | None, error: FhirError | None = None) -> None:
    """Note how an interaction ended; a write that succeeded has told of itself."""
    if ctx.agent is None or (response is not None and response.write is not None):
        return
    status = response.status if response is not None else error.status if error is not None else 500
    issue = error.issues[0].code if error is not None and error.issues else ""
    patients = _patients(request, response)
    ctx.notes.append(_entry(ctx.agent, request, status, issue, patients, ctx.request_id, ctx.principal.purpose))


async def settle(ctx: Context) -> None:
    """Return once what this process has noted so far can be found in the trail."""
    trail = ctx.state.get("trail")
    if trail is not None:
        await trail.settle()


def refused(agent: Agent, request: FhirRequest, status: int, request_id: str) -> Entry:
    """The entry of a request that was refused before anybody knew what it wanted."""
    return _entry(agent, request, status, "", (), request_id)


def _entry(
    agent: Agent,
    request: FhirRequest,
    status: int,
    issue: str,
    patients: tuple[str, ...],
    request_id: str,
    purpose: str = "",
) -> Entry:
    interaction = request.interaction or request.method.lower()
    return Entry(
        now(),
        interaction,
        action(interaction),
        status,
        agent,
        request.type or "",
        request.id or "",
        request.version or "",
        urlencode(request.query)[:4096] if request.query else "",
        patients,
        request_id,
        request.operation or "",
        _kind(request) if interaction == "bundle" else "",
        purpose,
        issue,
    )


def of_write(ctx: Context, unit: UnitOfWork, change: Write) -> None:
    """Let the unit carry the entry of this write."""
    if ctx.agent is None:
        return
    entry = entry_of(ctx.agent, change)
    entry.request, entry.purpose = ctx.request_id, ctx.principal.purpose
    entry.bundle = "transaction" if ctx.unit is not None else ""
    unit.audit.append(entry)


def entry_of(agent: Agent, change: Write) -> Entry:
    """The entry of a write; it goes with the write's unit."""
    interaction, letter, status = _WRITES.get(change.method, _DELETE)
    if interaction == "update" and (change.base is None or change.base.deleted):
        status = 201
    return Entry(now(), interaction, letter, status, agent, type=change.type, id=change.id, patients=_written(change))


def _written(change: Write) -> tuple[str, ...]:
    """The patients that a write is about, by its search keys; of a deletion, those that the resource named."""
    if change.type == "Patient":
        return (change.key,)
    if change.resource is None:
        return patients_in(change.base.text) if change.base is not None else ()
    found = {key.partition(">")[2] for key in change.index.get("k", ()) if ">Patient/" in key}
    return tuple(sorted(found))


def _patients(request: FhirRequest, response: FhirResponse | None) -> tuple[str, ...]:
    if response is None:
        return (f"Patient/{request.id}",) if request.type == "Patient" and request.id else ()
    if request.type == "Patient" and request.id and response.text is not None and not request.operation:
        return (f"Patient/{request.id}",)
    if response.text is not None and request.interaction != "capabilities":
        return _referred(response.text, _MARKS[:1] if request.interaction in _SINGLE else _MARKS)
    if response.resource is not None and request.operation:
        return _named(response.resource)
    return ()


def _kind(request: FhirRequest) -> str:
    """Whether a Bundle was a batch or a transaction."""
    if not isinstance(request.body, dict):
        return ""
    return str(request.body.get("type", ""))[:16]


def _referred(text: bytes, marks: tuple[bytes, ...]) -> tuple[str, ...]:
    """The patients that a resource or a Bundle, as it is stored, is about or refers to."""
    found: dict[str, None] = {}
    for mark in marks:
        start = text.find(mark)
        while start >= 0 and len(found) < MAX_PATIENTS:
            start += len(mark)
            end = text.find(b'"', start, start + 65)
            if end < 0:  # nothing that could be an id
                end = start + 65
            id_ = text[start:end].decode("latin-1")
            found["Patient/" + (id_.partition("/")[0] if "/" in id_ else id_)] = None
            start = text.find(mark, end)
    return tuple(found)


def _named(resource: dict[str, Any]) -> tuple[str, ...]:
    """The patients among a Bundle's entries."""
    entries = [entry.get("resource", {}) for entry in resource.get("entry", ())]
    return tuple({f"Patient/{one.get('id')}": None for one in entries if one.get("resourceType") == "Patient"})
