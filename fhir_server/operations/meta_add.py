"""https://hl7.org/fhir/R4/resource-operation-meta-add.html · resource-operation-meta-delete.html

Both make a new version where they change anything: R4 no longer says that they do not (STU3 did), and a history that
misses a security label would be no history.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fhir_server import api
from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.interactions.create import ATTEMPTS
from fhir_server.interactions.urls import UNALTERABLE
from fhir_server.operations.input import published, read
from fhir_server.operations.meta import KINDS, answer, identity
from fhir_server.outcomes import Conflict, MethodNotAllowed, NotSupported, PreconditionFailed
from fhir_server.registry import operation
from fhir_server.storage.stored import Stored, instant
from fhir_server.storage.unit_of_work import Lost, Write

Json = dict[str, Any]
Change = Callable[[list[Any], list[Any]], list[Any]]


@operation("meta-add", instances=("*",), affects_state=True)
async def meta_add(ctx: Context, request: FhirRequest) -> FhirResponse:
    """Add profiles, tags and security labels to a resource; answers its meta. What is there already stays as it is."""
    return await _change(ctx, request, _added)


@operation("meta-delete", instances=("*",), affects_state=True)
async def meta_delete(ctx: Context, request: FhirRequest) -> FhirResponse:
    """Delete profiles, tags and security labels of a resource; answers its meta. It is no error if there are none."""
    return await _change(ctx, request, _left)


def _added(present: list[Any], given: list[Any]) -> list[Any]:
    every = {identity(label): label for label in [*given, *present]}
    known = [identity(label) for label in present]
    return [*present, *(every[key] for key in every if key not in known)]


def _left(present: list[Any], given: list[Any]) -> list[Any]:
    gone = {identity(label) for label in given}
    return [label for label in present if identity(label) not in gone]


async def _change(ctx: Context, request: FhirRequest, change: Change) -> FhirResponse:
    """Apply the change to the current version, again when that moves meanwhile."""
    given = read(request, published(str(request.operation), request.type)).one("meta")
    assert request.type
    if request.version is not None:
        raise NotSupported("Versions of the past do not change.")
    if "update" in UNALTERABLE.get(request.type, ()):
        raise MethodNotAllowed(f"{request.type} accepts neither update nor delete.", headers={"Allow": "GET, HEAD"})
    for attempt in range(ATTEMPTS):
        async with ctx.repository.turns.of(f"{request.type}/{request.id}", attempt):
            base = await _base(ctx, request)
            asked = api.check_if_match(request, base)
            resource = base.resource()
            if not _apply(resource, given, change):
                return answer(resource["meta"])
            await api.check(ctx, resource, expect_type=request.type)
            write = Write("PUT", request.type, base.id, resource, base, exact=True)
            try:
                await api.write(ctx, write)
            except Lost:
                if asked:
                    raise PreconditionFailed("The resource changed meanwhile.") from None
                continue
            stamps = {"versionId": str(write.version), "lastUpdated": instant(write.updated)}
            response = answer(stamps | {k: v for k, v in resource.get("meta", {}).items() if k not in stamps})
            response.version = write.version
            return response
    raise Conflict("The resource is being changed too often; try again.")


async def _base(ctx: Context, request: FhirRequest) -> Stored:
    return api.there(await api.base(ctx, *request.instance()), request.type)


def _apply(resource: Json, given: Json, change: Change) -> bool:
    """Change the labels in place; whether anything did change."""
    meta = resource.setdefault("meta", {})
    changed = False
    for element in KINDS:
        before = meta.get(element, [])
        after = change(before, given.get(element, []))
        if after == before:
            continue
        changed = True
        # Extensions of profile URLs stand in a list beside, by position: without their URL they mean nothing.
        meta.pop(f"_{element}", None)
        if after:
            meta[element] = after
        else:
            del meta[element]
    return changed
