"""Breaking the glass: a record that is closed to the caller is opened to them in an emergency, for a short while.

An operation of this server's own, docs/access.md. It leaves a Consent that permits the caller, a Task to review it,
and an alert to the privacy officers; all three or none.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from fhir_server import api
from fhir_server.access.compartment import TEAM
from fhir_server.access.consents import ALERT, BREAK_GLASS, FOR_OFFICERS, REVIEW
from fhir_server.access.principal import SYSTEM, Principal
from fhir_server.access.provisions import REASON, SHARING
from fhir_server.access.roles import may_run
from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.definitions import OperationParameter
from fhir_server.operations.input import Input, read
from fhir_server.outcomes import Forbidden, Invalid, MethodNotAllowed, NotFound, TooManyRequests, ValueWrong
from fhir_server.registry import operation
from fhir_server.search.compile import compile
from fhir_server.search.parse import conditional
from fhir_server.storage.unit_of_work import UnitOfWork, Write

Json = dict[str, Any]

MINUTES, MAX_MINUTES = 30, 60
MAX_REASON = 1000  # characters
MAX_OFFICERS = 20  # who are alerted
MAX_AN_HOUR = 10  # of one user
PURPOSE = "BTG"

PARAMETERS = (
    OperationParameter("reason", "in", min=1, type="string"),
    OperationParameter("purpose", "in", type="Coding"),
    OperationParameter("minutes", "in", type="positiveInt"),
)
_CATEGORIES = "http://terminology.hl7.org/CodeSystem/consentcategorycodes"
_POLICIES = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_MESSAGES = "http://terminology.hl7.org/CodeSystem/communication-category"


@operation("break-glass", instances=("Patient",), affects_state=True)
async def break_glass(ctx: Context, request: FhirRequest) -> FhirResponse:
    """Open a patient's record to the caller for some minutes, for a reason that is reviewed afterwards."""
    _check_caller(ctx.principal)
    if request.query:
        # A URL ends up in logs, and the reason may tell of the patient.
        raise Invalid("$break-glass takes its parameters in the body.")
    given = read(request, PARAMETERS)
    reason, minutes = _reason(given), _minutes(given)
    if ctx.unit is not None:
        raise MethodNotAllowed("$break-glass takes effect by itself, not as part of a transaction.")
    server = replace(ctx, principal=SYSTEM)
    patient = await api.current(server, *request.instance())
    if patient is None or patient.deleted:
        raise NotFound("There is no Patient with this id.")
    start = datetime.now(UTC)
    await _check_count(server, ctx.principal, start)
    emergency = _Emergency(ctx.principal, patient.key, reason, start, start + timedelta(minutes=minutes))
    consent = emergency.consent()
    task = emergency.task(consent)
    alerts = [emergency.alert(consent, task, to) for to in await _officers(server)]
    await _write(server, [consent, task, *alerts])
    return FhirResponse(resource=_answer(emergency, consent, task, alerts))


def _check_caller(principal: Principal) -> None:
    """Raise Forbidden (403) unless a person of one of the policy's roles asks, with a scope for such a Consent."""
    if principal.is_open:
        return
    # An app that was only ever allowed to read opens nothing.
    writes = any(scope.level == "user" and scope.allows("Consent", "c") for scope in principal.scopes)
    # The Consent names them: an account that is nobody here cannot be given anything by it.
    is_staff = principal.user.partition("/")[0] in ("Practitioner", "PractitionerRole")
    if not is_staff or not writes or not may_run(principal, "break-glass"):
        raise Forbidden("This caller may not break the glass.")


async def _check_count(server: Context, principal: Principal, now: datetime) -> None:
    """Raise TooManyRequests (429) when the user has broken enough glass of late."""
    if principal.is_open:
        return
    since = _instant(now - timedelta(hours=1))
    query = f"category={'|'.join(BREAK_GLASS)}&actor={principal.user}&date=ge{since}"
    filter = compile(conditional("Consent", query, server.base_url)).filter
    if await server.repository.count(SYSTEM, filter) >= MAX_AN_HOUR:
        raise TooManyRequests(f"At most {MAX_AN_HOUR} emergencies an hour.", headers={"Retry-After": "600"})


def _reason(given: Input) -> str:
    reason = str(given.one("reason")).strip()
    if not reason or len(reason) > MAX_REASON:
        raise ValueWrong(f"Parameter 'reason' has from 1 to {MAX_REASON} characters.")
    purpose = given.one("purpose") or {"code": PURPOSE}
    if purpose.get("code") != PURPOSE or purpose.get("system", REASON) != REASON:
        raise ValueWrong(f"Parameter 'purpose' is {REASON}|{PURPOSE}.")
    return reason


def _minutes(given: Input) -> int:
    minutes = given.one("minutes")
    if minutes is None:
        return MINUTES
    if not 1 <= int(minutes) <= MAX_MINUTES:
        raise Invalid(f"Parameter 'minutes' is from 1 to {MAX_MINUTES}.", code="value")
    return int(minutes)


async def _officers(server: Context) -> list[Json | None]:
    """References to the privacy officers: active PractitionerRoles with that code; None when there are none."""
    query = conditional("PractitionerRole", f"role={'|'.join(FOR_OFFICERS)}&active=true", server.base_url)
    found = await server.repository.find(SYSTEM, compile(query).filter, limit=MAX_OFFICERS)
    roles = [row.resource() for row in found]
    persons = [role.get("practitioner", {}).get("reference") or f"PractitionerRole/{role['id']}" for role in roles]
    return [{"reference": person} for person in dict.fromkeys(persons)] or [None]


async def _write(server: Context, resources: list[Json]) -> None:
    """All of them in one transaction, whatever the caller may write."""
    unit = UnitOfWork()
    inside = replace(server, unit=unit)
    for resource in resources:
        await api.write(inside, Write("POST", resource["resourceType"], resource["id"], resource))
    await server.repository.commit(unit)


def _answer(emergency: _Emergency, consent: Json, task: Json, alerts: list[Json]) -> Json:
    references = [("consent", consent), ("task", task), *(("communication", alert) for alert in alerts)]
    parameters: list[Json] = [{"name": name, "valueReference": _to(resource)} for name, resource in references]
    period = {"start": _instant(emergency.start), "end": _instant(emergency.end)}
    return {"resourceType": "Parameters", "parameter": [*parameters, {"name": "period", "valuePeriod": period}]}


class _Emergency:
    """One glass broken: who, whose, why and when; and the resources that say so."""

    def __init__(self, principal: Principal, patient: str, reason: str, start: datetime, end: datetime) -> None:
        self._who: Json = {"reference": principal.user} if principal.user else {"display": principal.name}
        self._patient: Json = {"reference": patient}
        self._reason = reason
        self.start, self.end = start, end

    def consent(self) -> Json:
        """What opens the record, the guide's emergency-access-consent: https://hl7.org/fhir/R4/consent.html"""
        actor = {"role": _concept(("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP"))}
        return {
            **_new("Consent"),
            "status": "active",
            "scope": _concept(("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy")),
            "category": [_concept(BREAK_GLASS, (_CATEGORIES, "emrgonly"))],
            "patient": self._patient,
            "dateTime": _instant(self.start),
            "policyRule": _concept((_POLICIES, "OPTIN")),
            "provision": {
                "type": "permit",
                "period": {"start": _instant(self.start), "end": _instant(self.end)},
                "actor": [{**actor, "reference": self._who}],
                "action": [_concept((SHARING, "emergency"))],
                "purpose": [{"system": REASON, "code": PURPOSE}],
            },
        }

    def task(self, consent: Json) -> Json:
        """What the privacy officer is to do, the guide's review-task: https://hl7.org/fhir/R4/task.html"""
        return {
            **_new("Task"),
            "status": "requested",
            "intent": "order",
            "priority": "asap",
            "code": _concept(REVIEW),
            "focus": _to(consent),
            "for": self._patient,
            "authoredOn": _instant(self.start),
            "lastModified": _instant(self.start),
            "requester": self._who,
            "performerType": [_concept(FOR_OFFICERS)],
            "reasonCode": {**_concept((REASON, PURPOSE)), "text": self._reason},
        }

    def alert(self, consent: Json, task: Json, officer: Json | None) -> Json:
        """What tells a privacy officer, or all who look, at once: https://hl7.org/fhir/R4/communication.html"""
        alert: Json = {
            **_new("Communication"),
            "status": "in-progress",
            "category": [_concept((_MESSAGES, "alert"), ALERT)],
            "priority": "urgent",
            "subject": self._patient,
            "about": [_to(task), _to(consent)],
            "sent": _instant(self.start),
            "sender": self._who,
            "reasonCode": [_concept((REASON, PURPOSE))],
        }
        alert["meta"] = {"security": [{"system": TEAM[0], "code": TEAM[1]}]}
        return alert if officer is None else {**alert, "recipient": [officer]}


def _new(type_: str) -> Json:
    return {"resourceType": type_, "id": str(uuid.uuid4())}


def _to(resource: Json) -> Json:
    return {"reference": f"{resource['resourceType']}/{resource['id']}"}


def _concept(*codings: tuple[str, str]) -> Json:
    return {"coding": [{"system": system, "code": code} for system, code in codings]}


def _instant(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
