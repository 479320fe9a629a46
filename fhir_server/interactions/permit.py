"""Whether an interaction can be open to its caller at all: asked before anything is looked up."""

from __future__ import annotations

from fhir_server.access import Principal
from fhir_server.access.visibility import condition, is_any_open
from fhir_server.context import FhirRequest
from fhir_server.outcomes import Forbidden, SignInRequired

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="fhir"'}
# What an interaction does to resources of its type: any of these letters opens the way to its handler.
_ACTIONS = {
    "read": "r",
    "vread": "r",
    "history-instance": "r",
    "search-type": "s",
    "search-compartment": "s",
    "history-type": "s",
    "create": "c",
    "update": "uc",
    "patch": "u",
    "delete": "d",
}
_CONDITIONAL = frozenset({"create", "update", "patch", "delete"})


def permit(principal: Principal, request: FhirRequest) -> None:
    """Raise Forbidden (403) when no resource at all could be open to the caller, SignInRequired (401) to nobody.

    It tells nothing of what there is: which resources are open is up to storage.
    """
    interaction, type_ = request.interaction, request.type
    if principal.is_open or interaction == "capabilities":
        return
    actions = _ACTIONS.get(interaction) if type_ is not None else None
    if actions is not None and type_ is not None and is_any_open(principal, type_, actions):
        if interaction in _CONDITIONAL and _is_conditional(request) and condition(principal, type_, "s") is None:
            raise Forbidden(f"A condition is a search, and the caller may not search {type_}.")
        return
    if principal.is_anonymous:
        raise SignInRequired("This needs an access token.", headers=CHALLENGE)
    if actions is not None:
        raise Forbidden(f"The caller's scopes and roles do not open {interaction} of {type_}.")


def _is_conditional(request: FhirRequest) -> bool:
    changes = request.interaction in ("update", "patch", "delete") and request.id is None
    return changes or request.if_none_exist is not None
