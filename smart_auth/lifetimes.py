"""How long tokens last, in seconds: https://hl7.org/fhir/smart-app-launch/app-launch.html#response-4"""

from __future__ import annotations

from fhir_server.config import Settings
from smart_auth.grant import Grant
from smart_auth.sessions import Sessions
from smart_auth.users import Users

ACCESS_SECONDS = 3600
SERVICE_SECONDS = 300  # of backend services


async def refresh_seconds(settings: Settings, sessions: Sessions, grant: Grant) -> int:
    """Of a refresh token that the grant gives; 0 when it gives none, or none any more.

    Each use begins the time of offline_access anew. What online_access gave ends with its browser session.
    """
    if grant.has("offline_access"):
        return settings.offline_access_days * 86_400
    return await sessions.lasting(grant.session) if is_online(grant) else 0


def is_online(grant: Grant) -> bool:
    """Whether the grant is good only as long as its user is signed in."""
    return grant.has("online_access") and not grant.has("offline_access")


async def has_user(users: Users, grant: Grant) -> bool:
    """Whether the user who gave it may still sign in; what a backend service was given needs none."""
    user = await users.get(grant.user) if grant.user else None
    return not grant.user or (user is not None and user.active)
