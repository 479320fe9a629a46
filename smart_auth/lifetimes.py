"""How long tokens last, in seconds: https://hl7.org/fhir/smart-app-launch/app-launch.html#response-4"""

from __future__ import annotations

from fhir_server.config import Settings
from smart_auth.grant import Grant
from smart_auth.users import Users

ACCESS_SECONDS = 3600
SERVICE_SECONDS = 300  # of backend services


def refresh_seconds(settings: Settings, grant: Grant) -> int:
    """Of a refresh token that the grant gives; 0 when it gives none.

    Each use begins the time anew. One of online_access ends with its browser session, which lasts no longer than this.
    """
    if grant.has("offline_access"):
        return settings.offline_access_days * 86_400
    if grant.has("online_access") and grant.session:
        return settings.session_hours * 3600
    return 0


async def has_user(users: Users, grant: Grant) -> bool:
    """Whether the user who gave it may still sign in; what a backend service was given needs none."""
    user = await users.get(grant.user) if grant.user else None
    return not grant.user or (user is not None and user.active)
