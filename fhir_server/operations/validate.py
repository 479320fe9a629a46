"""https://hl7.org/fhir/R4/resource-operation-validate.html"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from fhir_server import api, json
from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.definitions import OperationParameter
from fhir_server.interactions.urls import UNALTERABLE
from fhir_server.operations.input import published, read
from fhir_server.outcomes import Invalid, Issue, NotFound, ValueWrong, operation_outcome
from fhir_server.registry import operation, registry
from fhir_server.storage.stored import Stored
from fhir_server.validation import Level

Json = dict[str, Any]

_MODES = (None, "create", "update", "delete", "profile")


@operation("validate", system=True, types=("*",), instances=("*",))
async def validate(ctx: Context, request: FhirRequest) -> FhirResponse:
    """Whether a resource is valid at every level, meets a profile, and would be accepted as a write.

    On an instance without a resource, the one that is stored. For the whole system (beyond R4) a resource of any type,
    Parameters too. `profile` may be given several times.
    """
    given = read(request, [_several(one) for one in published("validate", request.type)])
    mode, resource, profiles = given.one("mode"), given.one("resource"), given.all("profile")
    if mode not in _MODES:
        raise ValueWrong("Parameter 'mode' is create, update, delete or profile.")
    if mode == "profile" and not profiles:
        raise Invalid("Mode profile needs the parameter 'profile'.", code="required")
    if mode in ("update", "delete") and request.id is None:
        raise Invalid(f"Mode {mode} is for one resource: {request.type}/[id]/$validate.")
    stored = await _stored(ctx, request)
    if mode == "delete":
        if profiles:
            raise Invalid("Mode delete looks at no content: it takes no profile.")
        if stored is None:
            raise NotFound(f"There is no {request.type} with this id.")
        return _answer([*_allowed(request, "delete"), *_version(request, stored)])
    if resource is None:
        if stored is None or mode not in (None, "profile"):
            raise Invalid("The resource to validate is missing.", code="required")
        resource = stored.resource()
    for url in profiles:
        if not await ctx.validator.knows(url):
            raise Invalid(f"Profile {url[:200]} is not known here, or has no snapshot.", code="not-found")
    issues = await api.judge(
        ctx, resource, expect_type=request.type, level=Level.PROFILES, profiles=profiles, thorough=True
    )
    if not any(issue.severity in ("error", "fatal") for issue in issues):
        issues = [*issues, *_acceptable(ctx, request, resource, mode, stored)]  # a valid one has a type
        issues += await _usable(ctx, resource)
    return _answer(issues)


async def _usable(ctx: Context, resource: Json) -> list[Issue]:
    """What keeps a StructureDefinition from being checked with: a warning, as what it is based on may come later."""
    trouble = await ctx.validator.trouble(resource) if resource["resourceType"] == "StructureDefinition" else ""
    text = f"Resources cannot be checked with this: {trouble[:500]}"
    return [Issue("business-rule", text, ("StructureDefinition",), "warning")] if trouble else []


def _several(one: OperationParameter) -> OperationParameter:
    """R4 takes one profile; there is no reason not to take more."""
    return replace(one, max=None) if one.name == "profile" else one


async def _stored(ctx: Context, request: FhirRequest) -> Stored | None:
    if request.id is None:
        return None
    stored = await api.current(ctx, *request.instance())
    return None if stored is None or stored.deleted else stored


def _acceptable(
    ctx: Context, request: FhirRequest, resource: Json, mode: str | None, stored: Stored | None
) -> list[Issue]:
    """What the server would say to a valid resource."""
    name = resource["resourceType"]
    issues = list(registry.checks[name](resource)) if name in registry.checks else []
    if api.is_subset(resource):
        text = "A resource tagged SUBSETTED is a part and cannot be stored."
        issues.append(Issue("invalid", text, (f"{name}.meta.tag",)))
    if len(json.encode(resource)) > ctx.settings.max_resource_bytes:
        text = f"A resource may not exceed {ctx.settings.max_resource_bytes} bytes."
        issues.append(Issue("too-long", text, (name,)))
    if mode == "update":
        issues += _allowed(request, "update")
        issues += _version(request, stored)
        if resource.get("id", request.id) != request.id:
            text = "The id of the resource is not the id of the URL."
            issues.append(Issue("invalid", text, (f"{request.type}.id",)))
    return issues


def _allowed(request: FhirRequest, interaction: str) -> list[Issue]:
    if interaction in UNALTERABLE.get(request.type or "", ()):
        return [Issue("not-supported", f"{request.type} accepts neither update nor delete.")]
    return []


def _version(request: FhirRequest, stored: Stored | None) -> list[Issue]:
    """If-Match, as the interaction would take it."""
    version = stored.version if stored is not None else None
    if request.if_match in (None, "*") or api.parse_etag(request.if_match or "") == version:
        return []
    return [Issue("conflict", "If-Match does not name the current version.")]


def _answer(issues: list[Issue]) -> FhirResponse:
    return FhirResponse(resource=operation_outcome(issues))
