"""`POST Practitioner/{id}/$invite`: an administrator invites a colleague, an operation of this server's own.

They get a link by e-mail, good for a week, and choose their own user name and password. docs/workflows/accounts.md
"""

from __future__ import annotations

from datetime import timedelta

from fhir_server import api
from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.definitions import OperationParameter
from fhir_server.operations.input import read
from fhir_server.outcomes import Conflict, Forbidden, MethodNotAllowed, NotFound, NotSupported, ValueWrong
from fhir_server.registry import operation
from smart_auth import invitation
from smart_auth.records import name_of
from smart_auth.service import SmartAuth
from smart_auth.store import now

_PARAMETERS = (
    OperationParameter("email", "in", min=1, type="string"),
    OperationParameter("role", "in", min=1, max=None, type="code"),
)
_OF_PATIENTS = frozenset({"patient", "proxy"})  # who sign up in other ways


@operation(
    "invite",
    instances=("Practitioner",),
    affects_state=True,
    definition="http://fhir-server.example/ig/OperationDefinition/invite",
)
async def invite(ctx: Context, request: FhirRequest) -> FhirResponse:
    """Send an invitation to be this Practitioner, with these roles; answers until when it is good.

    Raises Forbidden (403), NotFound (404), Conflict (409) when they or the address have an account.
    """
    auth = _auth(ctx)
    if not ctx.principal.is_administrator:
        raise Forbidden("Only administrators invite others.")
    if ctx.unit is not None:
        raise MethodNotAllowed("$invite takes effect by itself, not as part of a transaction.")
    given = read(request, _PARAMETERS)
    roles = _roles(ctx, given.all("role"))
    practitioner = await api.current(ctx, *request.instance())
    if practitioner is None or practitioner.deleted:
        raise NotFound("There is no such Practitioner.")
    email = given.one("email")
    if await auth.users.by_fhir_user(practitioner.key) or await auth.users.by_email(email):
        raise Conflict("The practitioner or the address has an account already.")
    name = name_of(practitioner.resource())
    await invitation.invite(auth, name=name, email=email, fhir_user=practitioner.key, roles=roles)
    expires = now() + timedelta(minutes=invitation.MINUTES)
    told = {"name": "expires", "valueInstant": expires.isoformat(timespec="seconds").replace("+00:00", "Z")}
    return FhirResponse(resource={"resourceType": "Parameters", "parameter": [told]})


def _auth(ctx: Context) -> SmartAuth:
    """Raises NotSupported (400) where nobody signs in, or no e-mail goes out."""
    auth = ctx.state.get("auth")
    if not isinstance(auth, SmartAuth):
        raise NotSupported("This server runs without sign-in: nobody can be invited.")
    if not auth.mail.is_configured:
        raise NotSupported("This server sends no e-mail: FHIR_SMTP_URL and FHIR_MAIL_FROM are not set.")
    return auth


def _roles(ctx: Context, named: list[str]) -> tuple[str, ...]:
    """The roles, each of them one of staff and the caller's to give."""
    if unknown := set(named) - (set(invitation.offered()) - _OF_PATIENTS):
        raise ValueWrong(f"Staff have no role {sorted(unknown)[0][:64]}.", expression=["Parameters.parameter"])
    if not invitation.may_give(ctx.principal.roles, named):
        raise Forbidden("Only a super administrator makes administrators.")
    return tuple(dict.fromkeys(named))
