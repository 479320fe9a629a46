"""Why a resource is shown to somebody, or hidden: an operation of this server's own, docs/access.md.

For administrators and privacy officers about any resource, and for patients about their own record.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fhir_server.access.compartment import of_patients
from fhir_server.access.explanation import Explanation, explain
from fhir_server.access.principal import SYSTEM, Principal
from fhir_server.access.roles import may_run
from fhir_server.access.scopes import ACTIONS
from fhir_server.access.visibility import is_open_to
from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.definitions import OperationParameter
from fhir_server.operations.input import Input, read
from fhir_server.outcomes import FhirError, Forbidden, Invalid, NotFound, NotSupported, ValueWrong
from fhir_server.registry import operation
from fhir_server.search.extract import extract
from fhir_server.search.memory import matches
from fhir_server.storage.stored import Stored

Json = dict[str, Any]
# Who somebody would be: by user (login or "Practitioner/1"), client_id and scopes ("" each: none); None: nobody.
PrincipalOf = Callable[[str, str, str], Awaitable[Principal | None]]

PARAMETERS = (
    OperationParameter("user", "in", type="string"),
    OperationParameter("client", "in", type="string"),
    OperationParameter("scope", "in", type="string"),
    OperationParameter("action", "in", type="code"),
)
_OVERSEERS = frozenset({"administrator", "super-administrator", "privacy-officer"})
_EVERYTHING = "user/*.cruds"


@operation("explain-access", instances=("*",))
async def explain_access(ctx: Context, request: FhirRequest) -> FhirResponse:
    """The four stages of the decision about a resource, for the caller or for another user or client."""
    given = read(request, PARAMETERS)
    action = given.one("action") or "r"
    if action not in tuple(ACTIONS):
        raise ValueWrong(f"Parameter 'action' is one letter of {ACTIONS}.")
    document = await _document(ctx, request)
    _check_caller(ctx.principal, document)
    found = explain(await _subject(ctx, given), action, document)
    return FhirResponse(resource=_answer(found))


async def _document(ctx: Context, request: FhirRequest) -> Json:
    """The resource as it is stored. Raises NotFound (404)."""
    stored = await ctx.repository.read(SYSTEM, *request.instance())
    if stored is None or stored.deleted:
        raise _absent(request.type)
    return _envelope(stored, ctx.base_url)


def _envelope(stored: Stored, base_url: str) -> Json:
    index = extract(stored.resource(), base_url=base_url).document()
    return {**index, "_id": stored.key, "ty": stored.type, "u": stored.updated, "t": stored.created}


def _absent(type_: str | None) -> FhirError:
    return NotFound(f"There is no {type_} with this id.")


def _check_caller(principal: Principal, document: Json) -> None:
    """Raise NotFound (404) where the caller may not know of the resource, Forbidden (403) where they may not ask."""
    if principal.is_open or _oversees(principal):
        return
    own = of_patients(document["ty"], principal.own)
    if own is not None and matches(own, document) and is_open_to(principal, "r", document):
        return
    if is_open_to(principal, "r", document):
        raise Forbidden("Only administrators and privacy officers, and patients about their own record, may ask why.")
    raise _absent(document["ty"])


def _oversees(principal: Principal) -> bool:
    """Whether it is the caller's work to know why; a token for a few things only is not enough."""
    everything = any(scope.level == "user" and scope.type == "*" and "r" in scope.actions for scope in principal.scopes)
    return everything and bool(_OVERSEERS & set(principal.roles)) and may_run(principal, "explain-access")


async def _subject(ctx: Context, given: Input) -> Principal:
    """Who it is asked about: the caller, when no parameter names anybody."""
    user, client, scope = (given.one(name) or "" for name in ("user", "client", "scope"))
    if not user and not client:
        if scope:
            raise Invalid("Parameter 'scope' goes with 'user' or 'client'.", code="required")
        return ctx.principal
    principal_of: PrincipalOf | None = ctx.state.get("principal_of")
    if principal_of is None:
        raise NotSupported("This server runs without sign-in: there are no users to explain.")
    found = await principal_of(user, client, scope or _default(user))
    if found is None:
        raise ValueWrong("Parameters 'user' and 'client' name nobody who can sign in.")
    return found


def _default(user: str) -> str:
    """All scopes there are: then what is told is the role's, the compartment's and the Consents' doing."""
    return _EVERYTHING if user else _EVERYTHING.replace("user", "system")


def _answer(found: Explanation) -> Json:
    stages = [
        {
            "name": stage.name,
            "part": [
                {"name": "decision", "valueCode": _word(stage.shown)},
                {"name": "reason", "valueString": stage.reason},
            ],
        }
        for stage in found.stages
    ]
    return {"resourceType": "Parameters", "parameter": [*stages, {"name": "outcome", "valueCode": _word(found.shown)}]}


def _word(shown: bool) -> str:
    return "shown" if shown else "hidden"
