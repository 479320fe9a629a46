"""Callers and stored resources for the tests of access, made without a server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fhir_server.access.principal import Principal
from fhir_server.access.scopes import resource_scopes
from fhir_server.access.visibility import is_open_to
from fhir_server.search.extract import extract

Json = dict[str, Any]


def document(resource: Json) -> Json:
    """A resource as it is stored."""
    key = f"{resource['resourceType']}/{resource['id']}"
    return extract(resource, base_url="").document() | {"ty": resource["resourceType"], "_id": key}


def caller(said: Mapping[str, Any]) -> Principal:
    """A principal of what a case says of them; scopes are a text, sets are lists."""
    made: dict[str, Any] = {"user": "Practitioner/me", "scopes": "user/*.cruds", **said}
    for name in ("own", "emergency", "organizations"):
        made[name] = frozenset(made.get(name, ()))
    made["scopes"] = resource_scopes(made["scopes"])
    made["roles"] = tuple(made.get("roles", ()))
    return Principal("somebody", **made)


def may(who: Principal, resource: Json) -> str:
    """The letters of what is open on the resource."""
    stored = document(resource)
    return "".join(action for action in "cruds" if is_open_to(who, action, stored))
