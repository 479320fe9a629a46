"""FhirRequest → handler → FhirResponse: the one way of a request, and of a Bundle entry."""

from __future__ import annotations

from functools import lru_cache

from fhir_server import api, auditing, json
from fhir_server.access.roles import may_run
from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.definitions import RESOURCE_TYPES, operations
from fhir_server.interactions.permit import permit
from fhir_server.interactions.urls import route
from fhir_server.outcomes import FhirError, Forbidden, Invalid, MethodNotAllowed, NoSuchRoute, NotImplementedYet
from fhir_server.registry import Handler, Operation, registry
from fhir_server.summary import check_elements, summarize

_SUBSET = {
    "capabilities",
    "read",
    "vread",
    "create",
    "update",
    "patch",
    "history-instance",
    "history-type",
    "history-system",
}


async def dispatch(ctx: Context, request: FhirRequest) -> FhirResponse:
    """Run one interaction. Raises FhirError; whatever a handler answers is already durable, or part of ctx.unit."""
    try:
        response = await _run(ctx, request)
    except FhirError as error:
        auditing.note(ctx, request, None, error)
        raise
    except Exception:
        auditing.note(ctx, request, None)
        raise
    auditing.note(ctx, request, response)
    return response


async def _run(ctx: Context, request: FhirRequest) -> FhirResponse:
    route(request)
    handler = _operation(request) if request.operation else registry.handler(request.interaction, request.type)
    if handler is None:
        raise NotImplementedYet(f"{request.interaction} is not built yet.")
    permit(ctx.principal, request)
    if request.operation and not may_run(ctx.principal, request.operation):
        raise Forbidden(f"The caller's role does not open ${request.operation}.")
    part = bool(request.query) and request.interaction in _SUBSET
    if part:
        check_subset(request)  # before the handler: a refusal must not come after a write
    response = await handler(ctx, request)
    if ctx.unit is None:
        api.complete(request, response)
        if part:
            subset(request, response)
    return response


def _operation(request: FhirRequest) -> Handler:
    name = request.operation or ""
    found = registry.operations.get(name)
    if found is None:
        if name in _published_operations():
            raise NotImplementedYet(f"${name} is defined by R4 and not built here yet.")
        raise NoSuchRoute(f"There is no operation ${name[:64]}.")
    if not _level_fits(found, request):
        raise NoSuchRoute(f"${name} cannot be called at this level or for this type.")
    if request.method not in ("GET", "HEAD", "POST") or (found.affects_state and request.method != "POST"):
        raise MethodNotAllowed(f"${name} takes POST.", headers={"Allow": "POST"})
    return found.handler


def _level_fits(operation: Operation, request: FhirRequest) -> bool:
    if request.type is None:
        return operation.system
    if request.version is not None and not operation.versions:
        return False
    types = operation.instances if request.id is not None else operation.types
    return "*" in types or request.type in types


@lru_cache(1)
def _published_operations() -> frozenset[str]:
    return frozenset(operation.code for operation in operations())


def check_subset(request: FhirRequest) -> None:
    """Raise Invalid (400) for a `_summary` or `_elements` that the interaction cannot answer with."""
    summary, elements = _asked(request)
    allowed = {None, "true", "text", "data", "false"}
    if request.interaction.startswith("history"):
        allowed.add("count")
    if summary not in allowed:
        raise Invalid("_summary is true, text, data or false; count is for searches and histories.")
    if elements:
        check_elements(elements, [request.type] if request.type else RESOURCE_TYPES)


def _asked(request: FhirRequest) -> tuple[str | None, list[str]]:
    query = dict(request.query)
    names = [name.strip() for name in query.get("_elements", "").split(",")]
    return query.get("_summary"), [name for name in names if name]


def subset(request: FhirRequest, response: FhirResponse) -> None:
    """Apply `_summary` and `_elements` to the resource that is answered."""
    summary, elements = _asked(request)
    if summary in (None, "count") and not elements:
        return
    resource = json.decode(response.text) if response.text is not None else response.resource
    if resource is None or resource["resourceType"] == "OperationOutcome":
        return
    response.text = None
    if resource["resourceType"] == "Bundle" and request.interaction.startswith("history"):
        for entry in resource.get("entry", []):
            if "resource" in entry:
                entry["resource"] = summarize(entry["resource"], summary=summary, elements=elements, lenient=True)
        response.resource = resource
    else:
        response.resource = summarize(resource, summary=summary, elements=elements, lenient=True)
