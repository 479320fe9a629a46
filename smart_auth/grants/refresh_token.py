"""A refresh token for new tokens: it is used up, and what comes of it can do no more than before.

https://hl7.org/fhir/smart-app-launch/app-launch.html#refresh-access-token · RFC 6749, section 6 · RFC 9700, 4.14.2
"""

from __future__ import annotations

from smart_auth.clients import Client
from smart_auth.endpoint import Form, required
from smart_auth.errors import OAuthError
from smart_auth.lifetimes import ACCESS_SECONDS, is_online, refresh_seconds
from smart_auth.service import SmartAuth
from smart_auth.tokens import Issued

GRANT_TYPE = "refresh_token"


async def issue(auth: SmartAuth, client: Client, form: Form) -> Issued:
    """New tokens of the same grant. Raises OAuthError; a token that was used before ends its family."""
    (token,) = required(form, "refresh_token")
    live = await auth.tokens.find_refresh(token)
    # What is not live goes on, too: that it was used before is found out, and acted on, where it is rotated.
    lasting = await refresh_seconds(auth.settings, auth.sessions, live.grant) if live is not None else 0
    if live is not None and live.grant.client == client.id and is_online(live.grant) and not lasting:
        await auth.tokens.revoke(live.grant.id)
        raise OAuthError("invalid_grant", "The browser session in which this was allowed is over.")
    seconds = min(ACCESS_SECONDS, lasting) if lasting else ACCESS_SECONDS
    return await auth.tokens.rotate(token, client.id, form.get("scope"), seconds=seconds, refresh_seconds=lasting)
