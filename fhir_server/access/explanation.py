"""Why something is shown or hidden: the decision of `visibility`, taken stage by stage and told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_server.access import consents, roles
from fhir_server.access.compartment import SHARED
from fhir_server.access.formulas import Formula
from fhir_server.access.principal import Principal
from fhir_server.access.scopes import Scope
from fhir_server.search.compile import compile
from fhir_server.search.memory import matches

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Stage:
    """What one of the four checks says: `scope`, `role`, `compartment` or `consent`."""

    name: str
    shown: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """The stages in their order, and what they come to: the same as `visibility.is_open_to`."""

    stages: tuple[Stage, ...]
    shown: bool


def explain(principal: Principal, action: str, document: Document) -> Explanation:
    """Why the action ("c", "r", "u", "d" or "s") is open on this stored document to the principal, or not.

    Reasons name scopes, lines of roles.toml and Consents, never content.
    """
    if principal.is_open:
        names = ("scope", "role", "compartment", "consent")
        return Explanation(tuple(Stage(name, True, "The server asks for no sign-in.") for name in names), True)
    within = [scope for scope in principal.scopes if _allows(principal, scope, action, document)]
    by_role = [scope for scope in within if _has_role(principal, scope, action, document)]
    inside = [scope for scope in by_role if _is_inside(principal, scope, action, document)]
    consent = _consent(principal, action, document)
    stages = (
        _scope(principal, within, action, document["ty"]),
        _role(principal, within, by_role, action, document),
        _compartment(principal, by_role or within, inside, action, document),
        consent,
    )
    return Explanation(stages, bool(inside) and consent.shown)


def _fits(formula: Formula, document: Document) -> bool:
    return formula if isinstance(formula, bool) else matches(formula, document)


# ---- scope ------------------------------------------------------------------------------------------------


def _allows(principal: Principal, scope: Scope, action: str, document: Document) -> bool:
    """Whether the scope is one for this caller, action and resource."""
    usable = {
        "system": not principal.user,
        "user": bool(principal.user),
        "patient": bool(principal.patient),
    }
    if not usable[scope.level] or not scope.allows(document["ty"], action):
        return False
    query = scope.query(document["ty"])
    return query is None or matches(compile(query).filter, document)


def _scope(principal: Principal, within: Sequence[Scope], action: str, type_: str) -> Stage:
    if within:
        return Stage("scope", True, f"Granted: {' '.join(map(str, within))}")
    near = [scope for scope in principal.scopes if scope.allows(type_, action)]
    if near:
        why = "They ask for other resources of the type, or for a user or a patient that the token does not have"
        return Stage("scope", False, f"{why}: {' '.join(map(str, near))}")
    return Stage("scope", False, f"No granted scope has '{action}' for {type_}.")


# ---- role -------------------------------------------------------------------------------------------------


def _has_role(principal: Principal, scope: Scope, action: str, document: Document) -> bool:
    """Whether what the scope opens is within what a role of the user is for; without a user nobody asks."""
    if not principal.user:
        return True
    return any(_opens(principal, role, action, document) for role in principal.roles)


def _opens(principal: Principal, role: str, action: str, document: Document) -> bool:
    found = roles.condition(principal, role, document["ty"], action)
    return found is not None and (not found or matches(found, document))


def _role(
    principal: Principal, within: Sequence[Scope], by_role: Sequence[Scope], action: str, document: Document
) -> Stage:
    type_ = document["ty"]
    if not principal.user:
        return Stage("role", True, "No user: a backend service is bound by its scopes.")
    lines = [(role, *one) for role in principal.roles for one in roles.explain(principal, role, type_, action)]
    fitting = [f"{role}: {line}" for role, line, formula in lines if _fits(formula, document)]
    if by_role or (fitting and not within):
        return Stage("role", True, f"Opened for {type_} by {'; '.join(fitting)}")
    if lines:
        asked = "; ".join(f"{role}: {line}" for role, line, _ in lines)
        return Stage("role", False, f"The resource is not among those that the user's roles open: {asked}")
    named = ", ".join(principal.roles) or "none"
    return Stage("role", False, f"No role of the user ({named}) has '{action}' for {type_}.")


# ---- compartment ------------------------------------------------------------------------------------------


def _is_inside(principal: Principal, scope: Scope, action: str, document: Document) -> bool:
    """Whether a patient/ scope has the resource in the compartment of its patient."""
    if scope.level != "patient":
        return True
    if document["ty"] in SHARED:
        return action in "rs"
    theirs = roles.belonging(document["ty"], action, [principal.patient])
    return theirs is not None and matches(theirs, document)


def _compartment(
    principal: Principal, asked: Sequence[Scope], inside: Sequence[Scope], action: str, document: Document
) -> Stage:
    limited = [scope for scope in asked if scope.level == "patient"]
    if any(scope.level != "patient" for scope in asked) or (not limited and not principal.patient):
        return Stage("compartment", True, "The scopes are not limited to one patient.")
    if document["ty"] in SHARED:
        shown = action in "rs"
        return Stage("compartment", shown, f"{document['ty']} tells of no patient: everybody reads, nobody writes it.")
    if inside or any(_is_inside(principal, scope, action, document) for scope in limited):
        return Stage("compartment", True, "In the compartment of the patient in context.")
    return Stage("compartment", not limited, "Not in the compartment of the patient in context.")


# ---- consent ----------------------------------------------------------------------------------------------


def _consent(principal: Principal, action: str, document: Document) -> Stage:
    wanted = consents.restriction(principal, document["ty"], action)
    if wanted and not matches(wanted, document):
        denying = consents.denying(principal, document["ty"], action)
        named = [consent for consent, formula in denying if _fits(formula, document)]
        return Stage("consent", False, f"Denied by {', '.join(sorted(set(named))) or 'a rule of the server'}.")
    if principal.emergency:
        return Stage("consent", True, "No Consent denies it to the caller, who has broken the glass of a patient.")
    return Stage("consent", True, "No Consent denies it.")
