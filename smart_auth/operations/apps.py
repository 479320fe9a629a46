"""`GET [base]/$apps`: the apps that one may open from here, for an EHR's gallery; an operation of this server's own.

Those with a launch URL, which `$launch-context` then opens with a patient in context. docs/operations.md
https://hl7.org/fhir/smart-app-launch/app-launch.html#launch-app-ehr-launch
"""

from __future__ import annotations

from typing import Any

from fhir_server.context import Context, FhirRequest, FhirResponse
from fhir_server.operations.input import read
from fhir_server.outcomes import NotSupported
from fhir_server.registry import operation
from smart_auth.clients import Client
from smart_auth.service import SmartAuth

Json = dict[str, Any]


@operation("apps", system=True)
async def apps(ctx: Context, request: FhirRequest) -> FhirResponse:
    """Parameters with an `app` for each, by name: `client` (its client_id), `name`, and `logo` where it has one."""
    auth = ctx.state.get("auth")
    if not isinstance(auth, SmartAuth):
        raise NotSupported("This server runs without sign-in: no app is registered.")
    read(request, ())
    found = sorted(filter(_can_be_opened, await auth.clients.list()), key=lambda client: client.name.casefold())
    return FhirResponse(resource={"resourceType": "Parameters", "parameter": [_told(client) for client in found]})


def _can_be_opened(client: Client) -> bool:
    return bool(client.launch_uri) and client.may_use("authorization_code")


def _told(client: Client) -> Json:
    part: list[Json] = [
        {"name": "client", "valueString": client.id},
        {"name": "name", "valueString": client.name},
    ]
    if client.logo_uri:
        part.append({"name": "logo", "valueUrl": client.logo_uri})
    return {"name": "app", "part": part}
