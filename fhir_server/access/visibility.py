"""What a principal may do, as conditions that storage adds to every query and that writes are held against.

A resource is open to a principal when some scope allows the action on it, the role of the user does too, and no
Consent forbids it. Everything is decided from the principal alone: docs/access.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fhir_server import json
from fhir_server.access import consents, roles
from fhir_server.access.compartment import BINARY, NONE, SHARED, SUBSCRIPTION
from fhir_server.access.principal import Principal
from fhir_server.access.scopes import Scope
from fhir_server.definitions import RESOURCE_TYPES
from fhir_server.search.compile import compile
from fhir_server.search.memory import matches

Document = dict[str, Any]


def condition(principal: Principal, type_: str, action: str) -> Document | None:
    """Which resources of the type the action ("c", "r", "u", "d" or "s") is open on: {} all, None none at all."""
    if principal.is_open:
        return {}
    try:
        return principal.decided[type_, action]
    except KeyError:
        found = principal.decided[type_, action] = _decide(principal, type_, action)
        return found


def is_any_open(principal: Principal, type_: str, actions: str) -> bool:
    """Whether any of these actions is open on some resource of the type."""
    # The generator that `any` wants takes longer than all the rest of a read's permission.
    for action in actions:  # noqa: SIM110
        if condition(principal, type_, action) is not None:
            return True
    return False


def _decide(principal: Principal, type_: str, action: str) -> Document | None:
    if type_ == BINARY and action == "s" and not _sees_everything(principal):
        return None  # a query, or a history, cannot tell what their contexts hide: by id they can be read
    found = either(_scoped(principal, scope, type_, action) for scope in principal.scopes)
    if found is None:
        return None
    return both(found, consents.restriction(principal, type_, action))


def _scoped(principal: Principal, scope: Scope, type_: str, action: str) -> Document | None:
    if not scope.allows(type_, action):
        return None
    level = _level(principal, scope.level, type_, action)
    if level is None:
        return None
    query = scope.query(type_)
    return both(level, compile(query).filter) if query is not None else level


def _level(principal: Principal, level: str, type_: str, action: str) -> Document | None:
    """Fail closed: patient/ needs a patient, user/ a user with a role, and system/ nobody at all."""
    if level == "system":
        return {} if not principal.user else None
    by_role = either(roles.condition(principal, role, type_, action) for role in principal.roles)
    if level == "user":
        return by_role if principal.user else None
    if not principal.patient:
        return None
    if type_ == SUBSCRIPTION:  # tells of no patient; what it leads to is judged by what the caller may see
        return by_role if principal.user else None
    if type_ in SHARED:
        theirs: Document | None = {} if action in "rs" else None
    else:
        theirs = roles.belonging(type_, action, [principal.patient])
    if theirs is None or not principal.user:
        return theirs
    return both(theirs, by_role) if by_role is not None else None


def _sees_everything(principal: Principal) -> bool:
    """Whether no resource that could be the context of a Binary is hidden from the caller."""
    return all(condition(principal, type_, "r") == {} for type_ in RESOURCE_TYPES if type_ != BINARY)


def visible(principal: Principal, types: Sequence[str] | None = None, action: str = "s") -> Document:
    """The condition for a query over these types (None: all); {} when that is everything.

    With `types`, the query itself must be limited to them.
    """
    if principal.is_open:
        return {}
    key = (tuple(types) if types is not None else None, action)
    if key not in principal.seen:
        principal.seen[key] = _visible(principal, types, action)
    return principal.seen[key]


def _visible(principal: Principal, types: Sequence[str] | None, action: str) -> Document:
    groups: dict[bytes, tuple[Document, list[str]]] = {}
    for type_ in RESOURCE_TYPES if types is None else types:
        found = condition(principal, type_, action)
        if type_ == BINARY and condition(principal, type_, "s") is None:
            continue
        if found is not None:
            groups.setdefault(json.encode(found), (found, []))[1].append(type_)
    if not groups:
        return NONE
    if len(groups) == 1:
        ((only, of),) = groups.values()
        if types is not None and len(of) == len(types):
            return only
    parts = [both({"ty": {"$in": of} if len(of) > 1 else of[0]}, found) for found, of in groups.values()]
    return parts[0] if len(parts) == 1 else {"$or": parts}


def is_open_to(principal: Principal, action: str, document: Mapping[str, Any]) -> bool:
    """Whether the action is open on this stored document (its type `ty`, its id and its search keys)."""
    found = condition(principal, document["ty"], action)
    return found is not None and (not found or matches(found, document))


def both(first: Document, second: Document) -> Document:
    """What fits the two; {} is everything."""
    if not first or not second:
        return first or second
    return {"$and": [first, second]}


def either(conditions: Iterable[Document | None]) -> Document | None:
    """What fits any of them; None when there is none."""
    unique: list[Document] = []
    for one in conditions:
        if one == {}:
            return {}
        if one is not None and one not in unique:
            unique.append(one)
    if not unique:
        return None
    return unique[0] if len(unique) == 1 else {"$or": unique}
