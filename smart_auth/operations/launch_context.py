"""`POST [base]/$launch-context`: what an EHR opens an app with, an operation of this server's own.

The answer holds the opaque `launch` and, for an app with a launch URL, the whole `url` to open. docs/operations.md
https://hl7.org/fhir/smart-app-launch/app-launch.html#launch-app-ehr-launch
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from fhir_server.access import Principal
from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.definitions import RESOURCE_TYPES, OperationParameter
from fhir_server.operations.input import Input, read
from fhir_server.outcomes import Forbidden, Invalid, NotFound, NotSupported, SignInRequired, ValueWrong
from fhir_server.registry import operation
from fhir_server.storage.stored import Stored
from smart_auth.launches import SECONDS
from smart_auth.redirects import with_parameters
from smart_auth.service import SmartAuth
from smart_auth.store import now

Json = dict[str, Any]

MAX_REFERENCES = 50  # of fhirContext
_REFERENCE = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9.-]{1,64})")
_USERS = frozenset({"Practitioner", "PractitionerRole", "Patient", "RelatedPerson", "Person"})
_PARAMETERS = (
    OperationParameter("client", "in", min=1, type="string"),
    OperationParameter("user", "in", type="string"),
    OperationParameter("patient", "in", type="string"),
    OperationParameter("encounter", "in", type="string"),
    OperationParameter("fhirContext", "in", max=MAX_REFERENCES, type="string"),
    OperationParameter("needPatientBanner", "in", type="boolean"),
    OperationParameter("smartStyleUrl", "in", type="url"),
    OperationParameter("intent", "in", type="string"),
    OperationParameter("tenant", "in", type="string"),
)
# What needs no more than being handed on, and its name in the token response.
_HANDED_ON = {
    "needPatientBanner": "need_patient_banner",
    "smartStyleUrl": "smart_style_url",
    "intent": "intent",
    "tenant": "tenant",
}


@operation("launch-context", system=True, affects_state=True)
async def launch_context(ctx: Context, request: FhirRequest) -> FhirResponse:
    """An opaque launch of a registered app, good once and for five minutes, with what it is to know of the EHR."""
    auth = _auth(ctx)
    given = read(request, _PARAMETERS)
    user = _user(ctx.principal, given.one("user"))
    client = await auth.clients.get(given.one("client"))
    if client is None or not client.may_use("authorization_code"):
        raise ValueWrong("Parameter 'client' is not an app that can be opened.", expression=["Parameters.parameter"])
    launch = await auth.launches.mint(await _context(ctx, given), client.id, user)
    expires = (now() + timedelta(seconds=SECONDS)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    told: list[Json] = [{"name": "launch", "valueString": launch}, {"name": "expires", "valueInstant": expires}]
    if client.launch_uri:
        url = with_parameters(client.launch_uri, [("iss", ctx.base_url), ("launch", launch)])
        told.append({"name": "url", "valueUrl": url})
    return FhirResponse(
        resource={"resourceType": "Parameters", "parameter": told}, headers={"Cache-Control": "no-store"}
    )


def _auth(ctx: Context) -> SmartAuth:
    """Raises NotSupported (400) in open mode."""
    auth = ctx.state.get("auth")
    if not isinstance(auth, SmartAuth):
        raise NotSupported("This server runs without sign-in: an app is opened without a launch.")
    return auth


def _user(caller: Principal, named: str | None) -> str:
    """Who may use the launch: the caller, or whom a backend service or an administrator names ("" is anybody).

    Raises SignInRequired (401) and Forbidden (403). An app that sees one patient cannot open others.
    """
    if caller.is_anonymous:
        raise SignInRequired("Sign in to open an app.")
    if not any(scope.level != "patient" and scope.allows("Patient", "r") for scope in caller.scopes):
        raise Forbidden("An app is opened by a user or a service that may read patients: user/ or system/Patient.r.")
    if named is not None and (not (found := _REFERENCE.fullmatch(named)) or found[1] not in _USERS):
        raise ValueWrong("Parameter 'user' is a reference such as Practitioner/1.", expression=["Parameters.parameter"])
    is_service = not caller.user
    if is_service or caller.is_administrator:
        return named or caller.user
    if named not in (None, caller.user):
        raise Forbidden("Only a service or an administrator opens apps for somebody else.")
    return caller.user


# ---- what the app is told ----------------------------------------------------------------------------


async def _context(ctx: Context, given: Input) -> Json:
    """The context as the token response tells it. Raises NotFound (404) for what the caller may not see."""
    context: Json = {told: given.one(name) for name, told in _HANDED_ON.items() if given.one(name) is not None}
    if (patient := given.one("patient")) is not None:
        context["patient"] = (await _seen(ctx, "Patient", patient)).id
    if (encounter := given.one("encounter")) is not None:
        stored = await _seen(ctx, "Encounter", encounter)
        _check_subject(ctx, stored, context.get("patient"))
        context["encounter"] = stored.id
    others = [{"reference": (await _other(ctx, reference)).key} for reference in given.all("fhirContext")]
    return {**context, **({"fhirContext": others} if others else {})}


def _check_subject(ctx: Context, encounter: Stored, patient: str | None) -> None:
    """Raise Invalid (400) unless the encounter is one of the patient in context."""
    if patient is None:
        raise Invalid("Parameter 'encounter' needs 'patient' beside it.", expression=["Parameters.parameter"])
    subject = encounter.resource().get("subject", {}).get("reference")
    if subject not in (f"Patient/{patient}", f"{ctx.base_url}/Patient/{patient}"):
        raise Invalid("The encounter is not one of the patient.", expression=["Parameters.parameter"])


async def _other(ctx: Context, reference: str) -> Stored:
    found = _REFERENCE.fullmatch(reference)
    if found is None or found[1] not in RESOURCE_TYPES or found[1] in ("Patient", "Encounter"):
        reason = "Parameter 'fhirContext' is a reference to something else than patient and encounter."
        raise ValueWrong(reason, expression=["Parameters.parameter"])
    return await _seen(ctx, found[1], reference)


async def _seen(ctx: Context, type_: str, given: str) -> Stored:
    """The resource, named as "Type/id" or by its id alone, if the caller may read it."""
    found = _REFERENCE.fullmatch(given if "/" in given else f"{type_}/{given}")
    if found is None or found[1] != type_:
        raise ValueWrong(f"A parameter is not the id of a {type_}.", expression=["Parameters.parameter"])
    stored = await ctx.repository.read(ctx.principal, type_, found[2])
    if stored is None or stored.deleted:
        raise NotFound(f"There is no such {type_}.")
    return stored
