"""What $share and $revoke have in common: the record as its caller sees it, what their app may do, the answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fhir_server import api
from fhir_server.context import Context, FhirRequest
from fhir_server.outcomes import Forbidden

Json = dict[str, Any]


async def record_of(ctx: Context, request: FhirRequest) -> Json:
    """The record of the URL; NotFound (404) when the caller may not know of it."""
    stored = api.there(await api.current(ctx, *request.instance()), "DocumentReference")
    return stored.resource()


def caller_may(ctx: Context, action: str) -> None:
    """Raise Forbidden (403) unless the caller's app may create ("c") or change ("u") Consents."""
    if ctx.principal.is_open:
        return
    allowed = (one for one in ctx.principal.scopes if one.allows("Consent", action) and one.query("Consent") is None)
    if not any(allowed):
        raise Forbidden("The app was not allowed to write Consents.")


def collection(ctx: Context, resources: Sequence[Json]) -> Json:
    """A Bundle of these, as they are now."""
    entries = [{"fullUrl": f"{ctx.base_url}/{one['resourceType']}/{one['id']}", "resource": one} for one in resources]
    return {"resourceType": "Bundle", "type": "collection", **({"entry": entries} if entries else {})}
