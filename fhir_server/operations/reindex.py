"""How far searches can be relied on, and the keys they go by computed anew: an operation of this server's own.

`GET [base]/$reindex` tells, `POST [base]/$reindex` starts; docs/operations.md has the parameters.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fhir_server.access import Principal
from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.definitions import RESOURCE_TYPES, OperationParameter
from fhir_server.operations.input import read
from fhir_server.outcomes import Forbidden, ValueWrong
from fhir_server.registry import operation

Json = dict[str, Any]

_TYPE = OperationParameter("type", "in", max=None, type="code")


@operation("reindex", system=True)
async def reindex(ctx: Context, request: FhirRequest) -> FhirResponse:
    """GET: what every SearchParameter here has come to, and how far a reindex is. POST: start one, of some types."""
    _administrators_only(ctx.principal)
    parameters = ctx.repository.parameters
    if request.method != "POST":
        read(request, ())
        return FhirResponse(resource=await _report(ctx))
    types = [str(one) for one in read(request, (_TYPE,)).all("type")]
    for one in types:
        if one not in RESOURCE_TYPES:
            raise ValueWrong(f"'{one[:64]}' is not a resource type.", expression=["Parameters.parameter"])
    await parameters.request(types)
    return FhirResponse(202, resource=await _report(ctx))


async def _report(ctx: Context) -> Json:
    status = await ctx.repository.parameters.status()
    due = status["due"]
    found = [_part("state", "valueCode", "idle" if not due else "running" if "owner" in status else "waiting")]
    found += [
        _part(name, "valueInteger", status[name]) for name in ("done", "total", "changed", "failed") if name in status
    ]
    found += [_part(name, "valueInstant", _instant(status[name])) for name in ("started", "ended") if name in status]
    found += [_part("due", "valueCode", name) for name in sorted(due)]
    if current := status.get("current"):
        numbers = [_part(name, "valueInteger", current[name]) for name in ("done", "total")]
        found.append({"name": "current", "part": [_part("type", "valueCode", current["type"]), *numbers]})
    for one in await ctx.repository.parameters.coverage():
        parts = [
            _part("type", "valueCode", one.type),
            _part("code", "valueCode", one.code),
            _part("url", "valueUri", one.url),
            _part("resource", "valueReference", {"reference": one.resource}),
            _part("state", "valueCode", one.state),
        ]
        found.append({"name": "parameter", "part": parts})
    return {"resourceType": "Parameters", "parameter": found}


def _part(name: str, value: str, content: Any) -> Json:
    return {"name": name, value: content}


def _instant(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _administrators_only(principal: Principal) -> None:
    """Raise Forbidden (403) for anyone else."""
    if not principal.is_administrator:
        raise Forbidden("Only administrators may reindex.")
