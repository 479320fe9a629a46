"""DocumentReference/$share: http://fhir-server.example/ig/OperationDefinition/share"""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from extensions.records.asking import caller_may, collection, record_of
from extensions.records.owners import decides, let_share
from extensions.records.shares import RECORD, consent, here, hold, share, shares_of
from fhir_server import api, json
from fhir_server.access.labels import with_below
from fhir_server.access.provisions import LEVELS, REASON, period
from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.definitions import OperationParameter
from fhir_server.operations.input import Input, read
from fhir_server.outcomes import BusinessRule, Conflict, Unprocessable, ValueWrong
from fhir_server.registry import operation
from fhir_server.storage.stored import Stored
from fhir_server.storage.unit_of_work import Lost, UnitOfWork, Write
from workflow.codes import GUIDE
from workflow.making import as_server

Json = dict[str, Any]
ATTEMPTS = 10
MOST_ACTORS = 100  # with whom one call shares
ACTORS = ("Practitioner", "PractitionerRole", "Organization", "CareTeam", "RelatedPerson")

PARAMETERS = (
    OperationParameter("actor", "in", min=1, max=None, type="Reference"),
    OperationParameter("level", "in", min=1, type="code"),
    OperationParameter("purpose", "in", type="Coding"),
    OperationParameter("period", "in", type="Period"),
)


@operation(
    "share", instances=("DocumentReference",), affects_state=True, definition=f"{GUIDE}/OperationDefinition/share"
)
async def share_record(ctx: Context, request: FhirRequest) -> FhirResponse:
    """Share a record: a sharing Consent for each actor, in place of the one they have; all of them or none.

    Who has such a Consent already keeps it. The answer is a collection of the Consents.
    """
    given = read(request, PARAMETERS)
    caller_may(ctx, "c")
    record = await record_of(ctx, request)
    if record.get("status") == "entered-in-error":
        raise Conflict("The record is entered-in-error and is shared with nobody.", expression=["DocumentReference"])
    if not here(ctx, record.get("subject")).startswith("Patient/"):
        raise BusinessRule(
            "A record that is no patient's is shared with nobody.", expression=["DocumentReference.subject"]
        )
    terms = _terms(given)
    if len(given.all("actor")) > MOST_ACTORS:
        raise BusinessRule(f"Up to {MOST_ACTORS} actors are given a share by one call.")
    actors = [await _actor(ctx, one) for one in given.all("actor")]
    for attempt in range(ATTEMPTS):
        async with ctx.repository.turns.of(f"{RECORD}/{record['id']}", attempt):
            unit = UnitOfWork()
            await hold(ctx, unit, f"{RECORD}/{record['id']}")
            try:
                made = [await _share(ctx, unit, record, {**terms, "actor": one}) for one in dict.fromkeys(actors)]
                if unit.writes:
                    await ctx.repository.commit(unit)
            except Lost:
                continue
            return FhirResponse(resource=collection(ctx, [json.decode(one.text) for one in made]))
    raise Conflict("The record is being shared too often at the moment; try again.")


def _terms(given: Input) -> Json:
    """Level, purpose and period, as the Consent has them."""
    level, span = given.one("level"), given.one("period")
    if level not in LEVELS:
        raise ValueWrong(f"Parameter 'level' is {', '.join(LEVELS)}.")
    purpose = given.one("purpose") or {"code": "TREAT"}
    code = purpose.get("code", "")
    if purpose.get("system", REASON) != REASON or (REASON, "TREAT") not in with_below(REASON, code):
        raise BusinessRule("Users act for treatment: Consents for another purpose open nothing to them.")
    terms: Json = {"level": level, "purpose": code}
    if span is None:
        return terms
    limits = period(span)
    if limits is None or limits[1] < limits[0] or not {"start", "end"} & span.keys():
        raise ValueWrong("Parameter 'period' has a start or an end behind it.")
    if limits[1] < datetime.now(UTC).timestamp() * 1_000_000:
        raise BusinessRule("Parameter 'period' is over.")
    return {**terms, "period": {name: span[name] for name in ("start", "end") if name in span}}


async def _actor(ctx: Context, reference: Json) -> str:
    """The "Type/id" of an actor; Unprocessable (422) when the caller knows of none such."""
    key = here(ctx, reference)
    type_, _, id_ = key.partition("/")
    if type_ not in ACTORS:
        raise Unprocessable(f"Parameter 'actor' refers to a {' or '.join(ACTORS)} of this server.", code="value")
    stored = await api.current(ctx, type_, id_)
    if stored is None or stored.deleted:
        raise Unprocessable(f"There is no {type_} as parameter 'actor' names it.", code="not-found")
    return key


async def _share(ctx: Context, unit: UnitOfWork, record: Json, terms: Json) -> Stored | Write:
    """The Consent for one actor: theirs, when it says the same already, or a new one within the unit."""
    key, performer = f"{RECORD}/{record['id']}", ctx.principal.user
    made = consent(str(uuid.uuid4()), key, here(ctx, record.get("subject")), performer, terms)
    await let_share(ctx, record, share(ctx, made))
    for row in await shares_of(ctx, record):
        same = share(ctx, row.resource()).actors == {terms["actor"]}
        if same and _says(row.resource(), terms) == _says(made, terms):
            return row
    # The owner's right is judged already, and need not be a right to write Consents of any kind.
    writer = ctx if decides(ctx, record) else as_server(ctx)
    write = Write("POST", "Consent", made["id"], made)
    await api.write(replace(writer, unit=unit), write)
    return write


def _says(there: Json, terms: Json) -> Json:
    """What tells one share from another; without a period asked for, any beginning is as good."""
    provision = there["provision"]
    kept = {name: provision.get(name) for name in ("action", "purpose", "data", "provision", "class", "securityLabel")}
    span = provision.get("period", {})
    return {**kept, "period": span if "period" in terms else span.get("end")}
