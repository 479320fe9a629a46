"""A backend service for itself: system/ scopes that its operator registered, for minutes, without a refresh token.

https://hl7.org/fhir/smart-app-launch/backend-services.html
"""

from __future__ import annotations

from smart_auth.clients import Client
from smart_auth.endpoint import Form, required
from smart_auth.errors import OAuthError
from smart_auth.grant import Grant, new_id
from smart_auth.lifetimes import SERVICE_SECONDS
from smart_auth.scopes import grantable, is_known, narrowed, words
from smart_auth.service import SmartAuth
from smart_auth.tokens import Issued

GRANT_TYPE = "client_credentials"


async def issue(auth: SmartAuth, client: Client, form: Form) -> Issued:
    """An access token of the service itself. Raises OAuthError."""
    if client.kind != "confidential-asymmetric":
        raise OAuthError("unauthorized_client", "A backend service authenticates by private_key_jwt.")
    asked = words(required(form, "scope")[0])
    if not all(scope.startswith("system/") and is_known(scope) for scope in asked):
        raise OAuthError("invalid_scope", "A backend service can only ask for system/ scopes that this server knows.")
    # Without a user, nobody but the registration says how far a service may go.
    granted = grantable(narrowed(asked, client.scopes), {}, user=False) if client.scopes else ""
    if not granted:
        raise OAuthError("invalid_scope", "None of these scopes is registered for this client.")
    grant = Grant(new_id(), client.id, fhir_user=client.fhir_user, scopes=granted)
    return await auth.tokens.issue(grant, seconds=SERVICE_SECONDS)
