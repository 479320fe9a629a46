"""Erasure for good: an administrator's operation of this server's own, unlike a delete, which keeps the history.

docs/operations.md says what goes and what stays.
"""

from __future__ import annotations

from fhir_server.access import Principal
from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.interactions.urls import UNALTERABLE
from fhir_server.operations.input import read
from fhir_server.outcomes import Forbidden, MethodNotAllowed, NotFound
from fhir_server.registry import operation


@operation("erase", instances=("*",), affects_state=True)
async def erase(ctx: Context, request: FhirRequest) -> FhirResponse:
    """Erase every version of a resource, for good; administrators only. Answers a receipt."""
    _administrators_only(ctx.principal)
    read(request, ())
    type_, id_ = request.instance()
    if request.version is not None:
        raise MethodNotAllowed("A resource is erased as a whole.", headers={"Allow": "GET, HEAD"})
    if "delete" in UNALTERABLE.get(type_, ()):
        raise MethodNotAllowed(f"{type_} accepts neither update nor delete.", headers={"Allow": "GET, HEAD"})
    count = await ctx.repository.erase(ctx.principal, type_, id_)
    if count == 0:
        raise NotFound(f"There is no {type_} with this id.")
    receipt = [
        {"name": "resource", "valueUri": f"{type_}/{id_}"},
        {"name": "versions", "valueInteger": count},
    ]
    return FhirResponse(resource={"resourceType": "Parameters", "parameter": receipt})


def _administrators_only(principal: Principal) -> None:
    """Raise Forbidden (403) for anyone else."""
    if not principal.is_administrator:
        raise Forbidden("Only administrators may erase.")
