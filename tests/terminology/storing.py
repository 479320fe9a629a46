"""Put resources into a server by the way that requests take."""

from __future__ import annotations

from typing import Any

from fhir_server.context import FhirRequest
from fhir_server.main import Server

Json = dict[str, Any]
BASE = "http://server.example/fhir"


async def put(parts: Server, resource: Json) -> None:
    """Create or update the resource; its definition is checked as for any caller."""
    ctx = parts.context(BASE)
    await ctx.dispatch(ctx, FhirRequest("PUT", f"{resource['resourceType']}/{resource['id']}", body=resource))


async def delete(parts: Server, key: str) -> None:
    ctx = parts.context(BASE)
    await ctx.dispatch(ctx, FhirRequest("DELETE", key))


def value_set(id_: str, *include: Json, **more: Any) -> Json:
    """A stored ValueSet with this content."""
    url = f"http://example.org/vs/{id_}"
    return {
        "resourceType": "ValueSet",
        "id": id_,
        "url": url,
        "status": "active",
        "compose": {"include": list(include)},
        **more,
    }


def code_system(id_: str, *concepts: Json | str, **more: Any) -> Json:
    """A stored, complete CodeSystem with these concepts."""
    listed = [{"code": one} if isinstance(one, str) else one for one in concepts]
    url = f"http://example.org/cs/{id_}"
    fixed = {"resourceType": "CodeSystem", "id": id_, "url": url, "status": "active", "content": "complete"}
    return {**fixed, "concept": listed, **more}
