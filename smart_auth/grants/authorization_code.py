"""A code that the user's browser brought back, for tokens.

https://hl7.org/fhir/smart-app-launch/app-launch.html#obtain-access-token · RFC 6749, section 4.1.3 · RFC 7636
"""

from __future__ import annotations

from smart_auth.clients import Client
from smart_auth.endpoint import Form, required
from smart_auth.lifetimes import ACCESS_SECONDS, refresh_seconds
from smart_auth.service import SmartAuth
from smart_auth.tokens import Issued

GRANT_TYPE = "authorization_code"


async def issue(auth: SmartAuth, client: Client, form: Form) -> Issued:
    """The tokens of a code. Raises OAuthError."""
    code, redirect_uri, verifier = required(form, "code", "redirect_uri", "code_verifier")
    grant = await auth.codes.redeem(code, client.id, redirect_uri, verifier)
    may_refresh = "refresh_token" in client.grant_types
    lasting = await refresh_seconds(auth.settings, auth.sessions, grant) if may_refresh else 0
    seconds = min(ACCESS_SECONDS, lasting) if lasting else ACCESS_SECONDS
    return await auth.tokens.issue(grant, seconds=seconds, refresh_seconds=lasting)
