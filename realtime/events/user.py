"""Who is online: user:online and user:offline come by themselves; here one asks who is there already."""

from __future__ import annotations

from typing import Any

from fhir_server.outcomes import Forbidden
from realtime.event import Call, event
from realtime.rooms import STAFF

Json = dict[str, Any]


@event("user:online")
async def online(call: Call) -> Json:
    """The staff who are online in any process; for staff. Nobody is told of patients."""
    if not await call.hub.rooms.allows(call.principal, STAFF):
        raise Forbidden("This is for staff.")
    return {"users": await call.hub.online.users()}
