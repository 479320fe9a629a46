"""What changed, as HAPI offers it: https://hapifhir.io/hapi-fhir/docs/server_jpa/diff.html"""

from __future__ import annotations

import asyncio
from typing import Any

from fhir_server import api
from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.definitions import OperationParameter
from fhir_server.interactions.urls import is_id
from fhir_server.operations.difference import difference
from fhir_server.operations.input import Input, read
from fhir_server.outcomes import Gone, Invalid, NotFound, Unprocessable
from fhir_server.registry import operation
from fhir_server.search.types.reference import local
from fhir_server.storage.stored import Stored

Json = dict[str, Any]

_INCLUDE_META = OperationParameter("includeMeta", "in", type="boolean")
OF_INSTANCE = (OperationParameter("fromVersion", "in", type="id"), _INCLUDE_META)
OF_SYSTEM = (
    OperationParameter("from", "in", min=1, type="string"),
    OperationParameter("to", "in", min=1, type="string"),
    _INCLUDE_META,
)


@operation("diff", system=True, instances=("*",), versions=True)
async def diff(ctx: Context, request: FhirRequest) -> FhirResponse:
    """The changes from an earlier version (the one before, unless named) to the current one, or between two resources.

    The answer has the form of a FHIRPath Patch.
    """
    if request.id is not None:
        given = read(request, OF_INSTANCE)
        before, after = await _versions(ctx, request, given.one("fromVersion"))
    else:
        given = read(request, OF_SYSTEM)
        before, after = [await _named(ctx, name, given) for name in ("from", "to")]
        if before.type != after.type:
            raise Unprocessable("Only resources of one type can be compared.")
    meta = given.one("includeMeta") is True
    # Long lists take a while, and others are waiting.
    found = await asyncio.to_thread(difference, before.resource(), after.resource(), meta=meta)
    return FhirResponse(resource=found)


async def _versions(ctx: Context, request: FhirRequest, from_version: str | None) -> tuple[Stored, Stored]:
    type_, id_ = request.instance()
    after = await _one(ctx, type_, id_, request.version)
    if from_version is None and after.version == 1:
        raise NotFound("There is no version before this one.")
    return await _one(ctx, type_, id_, from_version or str(after.version - 1)), after


async def _named(ctx: Context, name: str, given: Input) -> Stored:
    here = local(given.one(name), ctx.base_url + "/")
    type_, _, id_ = here[0].partition("/") if here else ("", "", "")
    if here is None or not is_id(id_):
        raise Invalid(f"Parameter '{name}' is Type/id or Type/id/_history/version.")
    return await _one(ctx, type_, id_, here[1] or None)


async def _one(ctx: Context, type_: str, id_: str, version: str | None) -> Stored:
    """A version, or the current one."""
    if version is None:
        found = await api.current(ctx, type_, id_)
    elif version.isascii() and version.isdigit() and len(version) < 10:
        found = await api.version(ctx, type_, id_, int(version))
    else:
        found = None
    if found is None:
        raise NotFound(f"There is no such {type_}, or no such version of it.")
    if found.deleted:
        raise Gone(f"This version is the deletion of the {type_}.")
    return found
