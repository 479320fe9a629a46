"""The URL grammar: which interaction a method and a path below the base mean.

https://hl7.org/fhir/R4/http.html#summary
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from fhir_server.context import FhirRequest
from fhir_server.definitions import RESOURCE_TYPES, compartments
from fhir_server.outcomes import Invalid, MethodNotAllowed, NoSuchRoute, NotFound

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
# Method → interaction, by the shape of the path.
BASE = {"GET": "search-system", "POST": "bundle"}
TYPE = {"GET": "search-type", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
INSTANCE = {"GET": "read", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
UNALTERABLE = {"AuditEvent": {"update", "patch", "delete"}}


def is_id(text: str) -> bool:
    """Whether this can be the id of a resource: https://hl7.org/fhir/R4/datatypes.html#id"""
    return _ID.fullmatch(text) is not None


def route(request: FhirRequest) -> None:
    """Fill in interaction, type, id, version, operation and compartment from method and path."""
    parts = [unquote(part) for part in request.path.split("/") if part] if request.path else []
    method = "GET" if request.method == "HEAD" else request.method
    if not parts:
        request.interaction = _choose(BASE, method)
        return
    first = parts[0]
    if first in RESOURCE_TYPES and first != "Parameters":
        request.type = first
        _route_type(request, method, parts)
        refused = UNALTERABLE.get(first)
        if refused and request.interaction in refused:
            raise MethodNotAllowed(f"{first} accepts neither update nor delete.", headers={"Allow": "GET, HEAD, POST"})
        return
    request.interaction = _route_system(request, method, first, len(parts))


def _route_system(request: FhirRequest, method: str, first: str, length: int) -> str:
    if length == 1:
        if first == "metadata":
            return _choose({"GET": "capabilities"}, method)
        if first == "_history":
            return _choose({"GET": "history-system"}, method)
        if first == "_search":
            return _choose({"POST": "search-system"}, method)
        if first.startswith("$"):
            request.operation = first[1:]
            return "operation"
    raise NoSuchRoute(f"There is no resource type or URL {first[:64]!r} here.")


def _route_type(request: FhirRequest, method: str, parts: list[str]) -> None:
    if len(parts) == 1:
        request.interaction = _choose(TYPE, method)
        return
    second = parts[1]
    if second.startswith(("_", "$")):
        if len(parts) > 2:
            raise NoSuchRoute("There is no such URL.")
        if second.startswith("$"):
            request.operation, request.interaction = second[1:], "operation"
        elif second == "_search":
            request.interaction = _choose({"POST": "search-type"}, method)
        elif second == "_history":
            request.interaction = _choose({"GET": "history-type"}, method)
        else:
            raise NoSuchRoute("There is no such URL.")
        return
    if not _ID.fullmatch(second):
        error = NotFound if method == "GET" else Invalid
        raise error("A FHIR id has 1 to 64 letters, digits, '-' and '.'.")
    request.id = second
    if len(parts) == 2:
        request.interaction = _choose(INSTANCE, method)
    else:
        _route_instance(request, method, parts[2:])


def _route_instance(request: FhirRequest, method: str, rest: list[str]) -> None:
    match rest:
        case ["_history"]:
            request.interaction = _choose({"GET": "history-instance"}, method)
        case ["_history", version]:
            request.interaction = _choose({"GET": "vread"}, method)
            request.version = version
        case ["_history", version, name] if name.startswith("$"):
            request.version = version
            request.operation, request.interaction = name[1:], "operation"
        case [name] if name.startswith("$"):
            request.operation, request.interaction = name[1:], "operation"
        case [name] if name == "*" or name in RESOURCE_TYPES:
            request.interaction = _choose({"GET": "search-compartment"}, method)
            _enter_compartment(request, name)
        case ["_search"]:
            request.interaction = _choose({"POST": "search-compartment"}, method)
            _enter_compartment(request, "*")
        case [name, "_search"] if name == "*" or name in RESOURCE_TYPES:
            request.interaction = _choose({"POST": "search-compartment"}, method)
            _enter_compartment(request, name)
        case _:
            raise NoSuchRoute("There is no such URL.")


def _enter_compartment(request: FhirRequest, name: str) -> None:
    if request.type not in compartments():
        raise NoSuchRoute(f"{request.type} has no compartment.")
    request.compartment = request.instance()
    request.type = None if name == "*" else name
    request.id = None


def _choose(table: dict[str, str], method: str) -> str:
    if method not in table:
        allowed = [*table, "HEAD"] if "GET" in table else list(table)
        raise MethodNotAllowed(f"{method} is not possible here.", headers={"Allow": ", ".join(allowed)})
    return table[method]
