"""What is sensitive of a patient made unreadable for good, here and in every backup: their keys are destroyed.

An operation of this server's own, docs/workflows/encryption.md. The receipt is a Provenance; the audit trail stays.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

from fhir_server import api, auditing
from fhir_server.access.principal import SYSTEM
from fhir_server.access.roles import may_run
from fhir_server.audit.entry import Agent
from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.definitions import OperationParameter
from fhir_server.operations.input import read
from fhir_server.outcomes import Forbidden, Invalid, MethodNotAllowed, NotFound, ValueWrong
from fhir_server.registry import operation
from fhir_server.storage.destruction import Erasure, destroy, finish, strip, unfinished, unreadable
from fhir_server.storage.stored import instant
from fhir_server.storage.unit_of_work import Lost, UnitOfWork, Write

Json = dict[str, Any]

MAX_REASON = 1000  # characters
PARAMETERS = (OperationParameter("reason", "in", min=1, type="string"),)
_NAMESPACE = uuid.UUID("b1b0a2c6-7d2a-4f0b-8f0d-51c7a6f0e9d4")
_LIFECYCLE = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"
_AGENT = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
_SERVER = Agent(SYSTEM.name)


@operation(
    "crypto-erase",
    instances=("Patient",),
    affects_state=True,
    definition="http://fhir-server.example/ig/OperationDefinition/crypto-erase",
)
async def crypto_erase(ctx: Context, request: FhirRequest) -> FhirResponse:
    """Destroy the keys of a patient, for a reason. Answers the receipt; asked again, the same one."""
    if not may_run(ctx.principal, "crypto-erase"):
        raise Forbidden("Only administrators and privacy officers may destroy a patient's keys.")
    if request.query:
        raise Invalid("$crypto-erase takes its parameter in the body.")
    reason = str(read(request, PARAMETERS).one("reason")).strip()
    if not reason or len(reason) > MAX_REASON:
        raise ValueWrong(f"Parameter 'reason' has from 1 to {MAX_REASON} characters.")
    if ctx.unit is not None:
        raise MethodNotAllowed("$crypto-erase takes effect by itself, not as part of a transaction.")
    type_, id_ = request.instance()
    by = ctx.principal.user or ctx.principal.name
    erasure = await destroy(ctx.repository.database, f"{type_}/{id_}", reason, by)
    if erasure is None:
        raise NotFound("There is nothing of such a patient under a key of their own.")
    for one in await unfinished(ctx.repository.database, erasure.patient):
        await _delete(ctx, one)
        await strip(ctx.repository.database, one)
        await _store(ctx, _receipt(one))
        await finish(ctx.repository.database, one)
    return FhirResponse(resource=_answer(erasure))


async def _delete(ctx: Context, erasure: Erasure) -> None:
    """Make deletions of what nobody can read, so that whoever follows the changes learns of it."""
    while rows := await unreadable(ctx.repository.database, erasure):
        unit = UnitOfWork()
        for row in rows:
            write = Write("DELETE", row.type, row.id, None, row, exact=True)
            unit.add(write)
            entry = auditing.entry_of(_SERVER, write)
            entry.patients, entry.request = (erasure.patient,), ctx.request_id
            unit.audit.append(entry)
        try:
            await ctx.repository.commit(unit)
        except Lost:
            continue  # one was written anew, under another key or in clear: it is not ours any more


async def _store(ctx: Context, receipt: Json) -> None:
    """Once, however often the operation was interrupted."""
    server = replace(ctx, principal=SYSTEM)
    if await api.current(server, "Provenance", receipt["id"]) is None:
        try:
            await api.write(server, Write("PUT", "Provenance", receipt["id"], receipt, exact=True))
        except Lost:
            return  # another call of the operation has just written it


def _receipt(erasure: Erasure) -> Json:
    """That they are destroyed, by whom, why, and what was under them: https://hl7.org/fhir/R4/provenance.html"""
    who: Json = {"reference": erasure.by} if "/" in erasure.by else {"display": erasure.by}
    removed = [
        {"role": "removal", "what": {"type": type_, "display": f"{count} {type_}"}}
        for type_, count in erasure.counts.items()
    ]
    return {
        "resourceType": "Provenance",
        "id": _receipt_id(erasure),
        "target": [{"reference": erasure.patient}],
        "recorded": _at(erasure),
        "reason": [{"text": erasure.why}],
        "activity": {
            "coding": [{"system": _LIFECYCLE, "code": "destroy", "display": "Destroy/Delete Record Lifecycle Event"}]
        },
        "agent": [{"type": {"coding": [{"system": _AGENT, "code": "performer"}]}, "who": who}],
        **({"entity": removed} if removed else {}),
    }


def _receipt_id(erasure: Erasure) -> str:
    return str(uuid.uuid5(_NAMESPACE, f"{erasure.id} {erasure.at.isoformat()}"))


def _at(erasure: Erasure) -> str:
    return instant(int(erasure.at.timestamp() * 1_000_000))


def _answer(erasure: Erasure) -> Json:
    parameters: list[Json] = [
        {"name": "receipt", "valueReference": {"reference": f"Provenance/{_receipt_id(erasure)}"}},
        {"name": "destroyed", "valueInstant": _at(erasure)},
        *({"name": "key", "valueString": key} for key in erasure.keys),
    ]
    for type_, count in erasure.counts.items():
        part: list[Json] = [{"name": "type", "valueCode": type_}, {"name": "count", "valueInteger": count}]
        parameters.append({"name": "resources", "part": part})
    return {"resourceType": "Parameters", "parameter": parameters}
